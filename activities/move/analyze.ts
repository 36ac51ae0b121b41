import type pg from "pg";
import type { ClientBase } from "pg";

import type { StepProgress, StepReport } from "../../contract/progress.ts";
import { plural } from "../../src/format.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { readTables } from "../../src/postgres/schema/tables.ts";
import { flushDestination } from "./parts/flush-destination.ts";
import { inLanes } from "./parts/lanes.ts";
import type { MoveStep } from "./parts/step.ts";

/** Tables analyzed per round trip. */
const BATCH = 50;
const MAX_LANES = 2;

/**
 * Fills the materialized views and gathers statistics, so that the first queries after the switch get good
 * plans. After a tablesync it also vacuums, for the visibility map; a direct copy has frozen its rows.
 */
export async function analyze(step: MoveStep): Promise<StepReport> {
  await step.endOrphans(step.to);
  const views = await step.onSource((client) => filledViews(client, step.schema));
  const tables = await step.onDestination((client) => readTables(client, step.schema));
  const command = step.input.plan.copyMethod === "tablesync" ? "VACUUM (ANALYZE)" : "ANALYZE";
  const names = tables.sort((a, b) => b.bytes - a.bytes).map((table) => qualified(step.schema, table.name));
  const lanes = Math.max(1, Math.min(MAX_LANES, Math.ceil(names.length / BATCH)));

  const look = (client: ClientBase): Promise<StepProgress> => progressOf(client, step.replicationName);
  await step.watched(step.to, look, async (onBackend) => {
    // In a session of its own, because the operator's functions run in it.
    const refreshing = { pgOptions: step.attempt.deps.pgOptions, reuse: false };
    const refresh = async (client: pg.Client): Promise<void> => {
      onBackend(client);
      for (const view of views) {
        step.attempt.throwIfCancelled();
        await client.query(`REFRESH MATERIALIZED VIEW ${qualified(step.schema, view)}`);
      }
    };
    if (views.length > 0) await step.session(step.to, refreshing, refresh);
    await inLanes(lanes, batches(names), (queue) =>
      step.session(step.to, { settings: { synchronous_commit: "off" } }, async (client) => {
        onBackend(client);
        for (const batch of queue) {
          step.attempt.throwIfCancelled();
          await client.query(`${command} ${batch.join(", ")}`);
        }
      }),
    );
    const filled = views.map((view) => qualified(step.schema, view)).join(", ");
    if (filled) await step.onDestination((client) => client.query(`ANALYZE ${filled}`));
  });
  await flushDestination(step);
  return {
    text: `analyzed ${plural(tables.length, "table")}${views.length > 0 ? `, refreshed ${plural(views.length, "materialized view")}` : ""}`,
    sql: [`${command} …`],
  };
}

function* batches(names: readonly string[]): Generator<string[]> {
  for (let at = 0; at < names.length; at += BATCH) yield names.slice(at, at + BATCH);
}

/** The materialized views that have data on the source, each after those that it reads from. */
async function filledViews(client: ClientBase, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `WITH RECURSIVE
     view AS (
       SELECT c.oid, c.relname, c.relispopulated, c.relkind
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relkind IN ('m', 'v')
     ),
     reads AS (
       SELECT DISTINCT w.ev_class AS reader, d.refobjid AS read
       FROM pg_rewrite w
       JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
       WHERE w.ev_class IN (SELECT oid FROM view) AND d.refobjid IN (SELECT oid FROM view) AND d.refobjid <> w.ev_class
     ),
     depth(oid, level) AS (
       SELECT oid, 0 FROM view
       UNION
       SELECT reads.reader, depth.level + 1 FROM depth JOIN reads ON reads.read = depth.oid
     )
     SELECT view.relname AS name
     FROM view JOIN depth USING (oid)
     WHERE view.relkind = 'm' AND view.relispopulated
     GROUP BY view.relname
     ORDER BY max(depth.level), view.relname`,
    [schema],
  );
  return rows.map((row) => row.name);
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
