import type { ClientBase } from "pg";

import type { StepReport } from "../../../contract/progress.ts";
import { withLockRetry } from "../../../src/postgres/locks.ts";
import { ident } from "../../../src/postgres/quote.ts";
import {
  disableSubscription,
  dropPublication,
  dropSlots,
  dropSubscription,
  type RunLocked,
} from "../../../src/postgres/replication/objects.ts";
import { alive } from "../../attempt/attempt.ts";
import type { MoveStep } from "./step.ts";

/**
 * Drops subscription, slot and publication, and restores the replica identities of the source's tables, which
 * may be in a renamed schema by now. The source is freed first, even when the destination cannot be reached, since
 * a slot left behind fills its disk; the subscription is dropped last, because it is needed to find the slots
 * that its tablesync workers may have left.
 */
export async function dropReplication(step: MoveStep): Promise<StepReport> {
  const { replicationName } = step;
  const disabled = await settled(
    step.onDestination((client) => disableSubscription(client, replicationName)),
  );
  const look = alive(() => "dropping the replication");
  await step.watched(step.from, look, () =>
    step.onSource(async (client) => {
      await dropSlots(client, replicationName, disabled.ok ? disabled.value : null);
      await dropPublication(client, replicationName, lockedRunner(step, client));
    }),
  );
  if (!disabled.ok) throw disabled.error;
  await step.watched(step.to, look, () =>
    step.onDestination((client) => dropSubscription(client, replicationName)),
  );
  return {
    text: `dropped the subscription on ${step.to}, the slot and the publication on ${step.from}`,
    sql: [`DROP SUBSCRIPTION ${ident(replicationName)}`, `DROP PUBLICATION ${ident(replicationName)}`],
  };
}

export const lockedRunner =
  (step: MoveStep, client: ClientBase): RunLocked =>
  (sql) =>
    withLockRetry(client, sql, step.attempt, step.attempt.lend(step.from));

type Settled<T> = { ok: true; value: T } | { ok: false; error: unknown };

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { ok: true, value: await promise };
  } catch (error) {
    return { ok: false, error };
  }
}
