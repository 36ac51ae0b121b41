import type { VerifyReport } from "../../contract/verify.ts";
import { untilCaughtUp } from "../../src/postgres/replication/position.ts";
import { describeDifferences } from "../../src/verify/describe.ts";
import { COMPARING } from "../../src/verify/sides.ts";
import { LagWatch } from "../attempt/lag-watch.ts";
import { Comparison } from "../verify/comparison.ts";
import { whileBehind } from "./parts/caught-up.ts";
import { DiffersError } from "./parts/differs.ts";
import type { MoveStep } from "./parts/step.ts";

/**
 * Compares every row of every table on both sides while both change. Leaves out the tables that are copied under the
 * lock, which are still empty on the destination. Continues where an earlier attempt stopped.
 */
export async function verify(step: MoveStep): Promise<VerifyReport> {
  const { attempt, from, to, schema, replicationName } = step;
  await Promise.all([step.endOrphans(from), step.endOrphans(to)]);
  const locked = new Set(step.input.plan.lockedCopies);
  const tellWhy = whileBehind(step);
  const lag = new LagWatch(attempt, [from, to], step.input.request.maxReplicationLagSec);
  const comparison = new Comparison({
    attempt,
    source: { island: from, schema },
    destination: { island: to, schema },
    wanted: (table) => !locked.has(table),
    bothSides: (use) => step.bothSides(COMPARING, COMPARING, use),
    watched: (look, work) => step.watched(from, look, work),
    lagging: () => lag.look(),
    caughtUp: (source, destination, waiting) =>
      untilCaughtUp(source, destination, replicationName, () => tellWhy(waiting)),
  });
  const { differences, more, ...report } = await comparison.run();
  if (differences.length > 0) throw new DiffersError(step, describeDifferences(differences, more));
  return report;
}
