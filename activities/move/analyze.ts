import type { ClientBase } from "pg";

import type { AnalyzeReport, ViewVersions } from "../../contract/move.ts";
import type { StepProgress } from "../../contract/progress.ts";
import { plural } from "../../src/format.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { readTables, type Table } from "../../src/postgres/schema/tables.ts";
import { inLanes } from "../attempt/lanes.ts";
import { flushDestination } from "./parts/flush-destination.ts";
import { refreshViews } from "./parts/refresh-views.ts";
import type { MoveStep } from "./parts/step.ts";

/** Tables analyzed per round trip. */
const BATCH = 50;
const MAX_LANES = 2;
/** What a table costs in any case, as far as the percentage is concerned. */
const BYTES_OF_A_TABLE = 1 << 16;

/**
 * Gathers statistics, so that the first queries after the switch get good plans, and fills the materialized views. After a
 * tablesync it also vacuums, for the visibility map; a direct copy has frozen its rows.
 */
export async function analyze(step: MoveStep): Promise<AnalyzeReport> {
  await step.endOrphans(step.to);
  const tables = await step.attempt.reading(step.to, () =>
    step.onDestination((client) => readTables(client, step.schema)),
  );
  const command = step.input.plan.copyMethod === "tablesync" ? "VACUUM (ANALYZE)" : "ANALYZE";
  await analyzeTables(step, command, tables);
  const views: ViewVersions = {};
  const filled = await step.bothSides({}, {}, (source, destination) =>
    refreshViews(step, views, source, destination),
  );
  await analyzeTables(
    step,
    "ANALYZE",
    filled.map((name) => ({ name, bytes: 0 })),
  );
  await flushDestination(step);
  return {
    text: `analyzed ${plural(tables.length, "table")}${filled.length > 0 ? `, refreshed ${plural(filled.length, "materialized view")}` : ""}`,
    sql: [`${command} …`],
    views,
  };
}

type Analyzed = Pick<Table, "name" | "bytes">;

async function analyzeTables(step: MoveStep, command: string, tables: readonly Analyzed[]): Promise<void> {
  const largestFirst = [...tables].sort((a, b) => b.bytes - a.bytes);
  const lanes = Math.max(1, Math.min(MAX_LANES, Math.ceil(tables.length / BATCH)));
  const all = sum(tables, (table) => table.bytes + BYTES_OF_A_TABLE);
  let done = 0;
  const look = async (client: ClientBase): Promise<StepProgress> => ({
    ...(await progressOf(client, step.replicationName)),
    percent: (100 * done) / all,
  });
  await step.watched(step.to, look, (onBackend) =>
    inLanes(lanes, batches(largestFirst), (queue) =>
      step.session(step.to, { settings: { synchronous_commit: "off" } }, async (client) => {
        onBackend(client);
        for (const batch of queue) {
          step.attempt.throwIfCancelled();
          await client.query(
            `${command} ${batch.map(({ name }) => qualified(step.schema, name)).join(", ")}`,
          );
          done += sum(batch, (table) => table.bytes + BYTES_OF_A_TABLE);
        }
      }),
    ),
  );
}

function* batches(tables: readonly Analyzed[]): Generator<Analyzed[]> {
  for (let at = 0; at < tables.length; at += BATCH) yield tables.slice(at, at + BATCH);
}

const sum = (tables: readonly Analyzed[], of: (table: Analyzed) => number): number =>
  tables.reduce((total, table) => total + of(table), 0);

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
  return { note: rows[0]?.note ?? "analyzing" };
}
