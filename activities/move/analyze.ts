import type { ClientBase } from "pg";

import type { AnalyzeReport, ViewVersions } from "../../contract/move.ts";
import type { StepProgress } from "../../contract/progress.ts";
import { plural } from "../../src/format.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { readTables } from "../../src/postgres/schema/tables.ts";
import { flushDestination } from "./parts/flush-destination.ts";
import { inLanes } from "./parts/lanes.ts";
import { refreshViews } from "./parts/refresh-views.ts";
import type { MoveStep } from "./parts/step.ts";

/** Tables analyzed per round trip. */
const BATCH = 50;
const MAX_LANES = 2;

/**
 * Gathers statistics, so that the first queries after the switch get good plans, and fills the materialized views. After a
 * tablesync it also vacuums, for the visibility map; a direct copy has frozen its rows.
 */
export async function analyze(step: MoveStep): Promise<AnalyzeReport> {
  await step.endOrphans(step.to);
  const tables = await step.onDestination((client) => readTables(client, step.schema));
  const command = step.input.plan.copyMethod === "tablesync" ? "VACUUM (ANALYZE)" : "ANALYZE";
  const names = tables.sort((a, b) => b.bytes - a.bytes).map((table) => qualified(step.schema, table.name));
  await analyzeTables(step, command, names);
  const views: ViewVersions = {};
  const filled = await step.bothSides({}, {}, (source, destination) =>
    refreshViews(step, views, source, destination),
  );
  await analyzeTables(
    step,
    "ANALYZE",
    filled.map((view) => qualified(step.schema, view)),
  );
  await flushDestination(step);
  return {
    text: `analyzed ${plural(tables.length, "table")}${filled.length > 0 ? `, refreshed ${plural(filled.length, "materialized view")}` : ""}`,
    sql: [`${command} …`],
    views,
  };
}

async function analyzeTables(step: MoveStep, command: string, names: readonly string[]): Promise<void> {
  const lanes = Math.max(1, Math.min(MAX_LANES, Math.ceil(names.length / BATCH)));
  const look = (client: ClientBase): Promise<StepProgress> => progressOf(client, step.replicationName);
  await step.watched(step.to, look, (onBackend) =>
    inLanes(lanes, batches(names), (queue) =>
      step.session(step.to, { settings: { synchronous_commit: "off" } }, async (client) => {
        onBackend(client);
        for (const batch of queue) {
          step.attempt.throwIfCancelled();
          await client.query(`${command} ${batch.join(", ")}`);
        }
      }),
    ),
  );
}

function* batches(names: readonly string[]): Generator<string[]> {
  for (let at = 0; at < names.length; at += BATCH) yield names.slice(at, at + BATCH);
}

/** What the sessions of a name are doing; autovacuum and other moves work on the same server. */
export async function progressOf(client: ClientBase, sessionName: string): Promise<StepProgress> {
  const { rows } = await client.query<{ note: string }>(
    `SELECT doing || ' ' || relid::regclass || ': ' || phase AS note
     FROM (
       SELECT 'analyzing' AS doing, pid, relid, phase FROM pg_stat_progress_analyze
       UNION ALL
       SELECT 'vacuuming', pid, relid, phase FROM pg_stat_progress_vacuum
     ) work JOIN pg_stat_activity USING (pid)
     WHERE application_name = $1
     LIMIT 1`,
    [sessionName],
  );
  return { note: rows[0]?.note ?? "refreshing materialized views" };
}
