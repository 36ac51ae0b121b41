import type { ClientBase } from "pg";

import { messageOf } from "../src/errors.ts";
import { dropCachedDump } from "../src/postgres/dump.ts";
import { literal, qualified } from "../src/postgres/quote.ts";
import { readTables } from "../src/postgres/tables.ts";
import { isRetryable } from "../src/temporal/failures.ts";
import type { CleanUpInput, StepReport } from "../workflows/contract.ts";
import type { Step } from "./context.ts";
import { libSchemaOf } from "./switch/facts.ts";
import { dropReplication } from "./undo.ts";

/**
 * What remains after the switch: the replication goes, debug views are made true, the operator's SQL runs.
 * The move is done by then, so what fails for good in the last two is told, and does not hold up its end.
 */
export async function cleanUp(step: Step, input: CleanUpInput): Promise<StepReport> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const report = await dropReplication(step, input.leftover ?? step.schema);
  const failures: string[] = [];
  if (step.input.kind === "move" && input.leftover) {
    const sides = [
      () => deactivate(step, input),
      () => step.onSource((client) => refreshDebugViews(client, step.from)),
      () => step.onDestination((client) => refreshDebugViews(client, step.to)),
    ];
    for (const side of sides) {
      await side().catch((error: unknown) => {
        if (isRetryable(error)) throw error;
        failures.push(messageOf(error));
      });
    }
  }
  await dropCachedDump(step.runId);
  return { ...report, text: [report.text, ...failures.map((failure) => `FAILED: ${failure}`)].join("; ") };
}

/** Runs the operator's SQL for each table of the old copy. */
async function deactivate(step: Step, input: CleanUpInput): Promise<void> {
  const { deactivateSql, leftover } = input;
  if (!deactivateSql || !leftover) return;
  await step.onSource(async (client) => {
    for (const table of await readTables(client, leftover)) {
      const name = literal(qualified(leftover, table.name));
      await client.query(deactivateSql.replaceAll("$1", () => name)).catch((cause: Error) => {
        if (isRetryable(cause)) throw cause;
        throw new Error(`--deactivate-sql for table "${table.name}": ${cause.message}`, { cause });
      });
      step.beat({ note: `deactivate-sql: ${table.name}` });
    }
  });
}

/** A debug view must never show rows of an old copy. Islands without debug views stay without. */
async function refreshDebugViews(client: ClientBase, island: string): Promise<void> {
  const lib = await libSchemaOf(client, island);
  await client.query(`SELECT ${qualified(lib, "microsharding_debug_views_refresh_")}()`);
}
