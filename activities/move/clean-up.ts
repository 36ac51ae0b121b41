import type { CleanUpInput } from "../../contract/move.ts";
import type { IslandName } from "../../contract/names.ts";
import type { StepReport } from "../../contract/progress.ts";
import { allEnd } from "../../src/all-end.ts";
import { refreshDebugViews } from "../../src/postgres/api/debug-views.ts";
import { apiSchemaOf } from "../../src/postgres/api/sql-api.ts";
import { withLockRetry } from "../../src/postgres/locks.ts";
import { dropCachedDump } from "../../src/postgres/schema/dump.ts";
import { alive } from "../attempt/attempt.ts";
import { lastingFailures } from "../attempt/failures.ts";
import { deactivate } from "./parts/deactivate.ts";
import { dropReplication } from "./parts/drop-replication.ts";
import { dropFenceFunctionSql, dropFenceSql, readFenced } from "./parts/fence.ts";
import { releaseShard } from "./parts/shard-lease.ts";
import type { MoveStep } from "./parts/step.ts";

/**
 * Does what remains after the switch: drops the replication, runs the operator's SQL, brings debug views up to date.
 * The move is done by then, so a lasting failure in the last two is reported but does not hold up its end.
 */
export async function cleanUp(step: MoveStep, input: CleanUpInput): Promise<StepReport> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const report = await dropReplication(step);
  if (step.input.wayBack) await dropFence(step);
  const failures = step.input.kind === "move" ? await deactivateAndRefreshViews(step, input) : [];
  await releaseShard(step);
  await dropCachedDump(step.attempt.runId);
  return { ...report, text: [report.text, ...failures.map((failure) => `FAILED: ${failure}`)].join("; ") };
}

/** Brings the debug views up to date even if the operator's SQL has failed. Returns what failed for good. */
async function deactivateAndRefreshViews(
  step: MoveStep,
  { deactivateSql, leftover }: CleanUpInput,
): Promise<string[]> {
  if (!leftover) return [];
  const deactivated = deactivate(step, step.from, deactivateSql, leftover);
  await Promise.allSettled([deactivated]);
  const views = [step.from, step.to].map((island) =>
    lastingFailures(refreshViews(step, island), step.attempt.number),
  );
  return (await allEnd([deactivated, ...views])).flat();
}

/** Drops the fence of the old copy to which the shard has returned; it has let writers through since then. */
async function dropFence(step: MoveStep): Promise<void> {
  const { schema, to, attempt } = step;
  await step.session(to, {}, async (client) => {
    for (const table of await readFenced(client, schema))
      await withLockRetry(client, dropFenceSql(schema, table), attempt, attempt.lend(to));
    await client.query(dropFenceFunctionSql(schema));
  });
}

/**
 * Brings the debug views of an island up to date, if it has any. Until then the views of both islands lack the shard's
 * rows; they never show rows of the old copy.
 */
async function refreshViews(step: MoveStep, island: IslandName): Promise<string[]> {
  const look = alive(() => `bringing the debug views of ${island} up to date`);
  // A foreign server that cannot be reached keeps this waiting for longer than a heartbeat may take.
  return step.watched(island, look, () =>
    step.session(island, {}, async (client) => {
      const apiSchema = await apiSchemaOf(client, island);
      const warnings = await refreshDebugViews(client, apiSchema, {
        island,
        patience: step.attempt,
        lend: step.attempt.lend(island),
      });
      return warnings.map((warning) => `${island}: ${warning}`);
    }),
  );
}
