import type { ClientBase } from "pg";

import type { CleanUpInput } from "../../contract/move.ts";
import type { IslandName } from "../../contract/names.ts";
import type { StepReport } from "../../contract/progress.ts";
import { refreshDebugViews } from "../../src/postgres/api/debug-views.ts";
import { apiSchemaOf } from "../../src/postgres/api/sql-api.ts";
import { messageWithoutRows } from "../../src/postgres/errors/without-rows.ts";
import { withLockRetry } from "../../src/postgres/locks.ts";
import { literal, qualified } from "../../src/postgres/quote.ts";
import { dropCachedDump } from "../../src/postgres/schema/dump.ts";
import { readTables } from "../../src/postgres/schema/tables.ts";
import { alive } from "../attempt/attempt.ts";
import { isRetryable } from "../attempt/failures.ts";
import { dropReplication } from "./parts/drop-replication.ts";
import { dropFenceFunctionSql, dropFenceSql, readFenced } from "./parts/fence.ts";
import { releaseShard } from "./parts/shard-lease.ts";
import { type MoveStep } from "./parts/step.ts";

/**
 * Does what remains after the switch: drops the replication, brings debug views up to date, runs the operator's SQL.
 * The move is done by then, so a lasting failure in the last two is reported but does not hold up its end.
 */
export async function cleanUp(step: MoveStep, input: CleanUpInput): Promise<StepReport> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const report = await dropReplication(step);
  if (step.input.wayBack) await dropFence(step);
  const failures: string[] = [];
  if (step.input.kind === "move" && input.leftover) {
    const deactivated = await Promise.allSettled([deactivate(step, step.from, input)]);
    const views = await Promise.allSettled([refreshViews(step, step.from), refreshViews(step, step.to)]);
    for (const part of [...deactivated, ...views]) {
      if (part.status === "fulfilled") failures.push(...part.value);
      else if (isRetryable(part.reason, step.attempt.number)) throw part.reason;
      else failures.push(messageWithoutRows(part.reason));
    }
  }
  await releaseShard(step);
  await dropCachedDump(step.attempt.runId);
  return { ...report, text: [report.text, ...failures.map((failure) => `FAILED: ${failure}`)].join("; ") };
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

/** Runs the operator's SQL for each table of the old copy. */
export async function deactivate(
  step: MoveStep,
  island: IslandName,
  { deactivateSql, leftover }: Pick<CleanUpInput, "deactivateSql" | "leftover">,
): Promise<string[]> {
  if (!deactivateSql || !leftover) return [];
  let done = "";
  // In a session of its own: it may take hours, and a later attempt has to find and end it.
  const run = async (client: ClientBase): Promise<void> => {
    for (const table of await readTables(client, leftover)) {
      const name = literal(qualified(leftover, table.name));
      await client.query(deactivateSql.replaceAll("$1", () => name)).catch((cause: Error) => {
        if (isRetryable(cause, step.attempt.number)) throw cause;
        throw new Error(`--deactivate-sql for table "${table.name}": ${messageWithoutRows(cause)}`, {
          cause,
        });
      });
      done = `: done with ${table.name}`;
    }
  };
  const look = alive(() => `deactivate-sql${done}`);
  await step.watched(island, look, () => step.session(island, { reuse: false }, run));
  return [];
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
