import type { ClientBase } from "pg";

import { dropCachedDump } from "../src/postgres/dump.ts";
import { literal, qualified } from "../src/postgres/quote.ts";
import { readTables } from "../src/postgres/tables.ts";
import type { CleanUpInput, StepReport } from "../workflows/contract.ts";
import type { Step } from "./context.ts";
import { libSchemaOf } from "./switch/facts.ts";
import { dropReplication } from "./undo.ts";

/** What remains after the switch: the replication goes, debug views are made true, the operator's SQL runs. */
export async function cleanUp(step: Step, input: CleanUpInput): Promise<StepReport> {
  await step.endOrphans(step.from);
  const replication = await dropReplication(step, input.leftover ?? step.schema);
  if (step.input.kind === "move" && input.leftover) {
    await step.onSource((client) => refreshDebugViews(client, step.from));
    await step.onDestination((client) => refreshDebugViews(client, step.to));
    await deactivate(step, input);
  }
  await dropCachedDump(step.runId);
  return replication;
}

/** Runs the operator's SQL for each table of the old copy. */
async function deactivate(step: Step, input: CleanUpInput): Promise<void> {
  const { deactivateSql, leftover } = input;
  if (!deactivateSql || !leftover) return;
  await step.onSource(async (client) => {
    for (const table of await readTables(client, leftover)) {
      const name = literal(qualified(leftover, table.name));
      await client.query(deactivateSql.replaceAll("$1", () => name));
      step.beat({ note: `deactivate-sql: ${table.name}` });
    }
  });
}

/** A debug view must never show rows of an old copy. Islands without debug views stay without. */
async function refreshDebugViews(client: ClientBase, island: string): Promise<void> {
  const lib = await libSchemaOf(client, island);
  await client.query(`SELECT ${qualified(lib, "microsharding_debug_views_refresh_")}()`);
}
