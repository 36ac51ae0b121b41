import type { ClientBase } from "pg";

import type { HistoryLine } from "../../../contract/history.ts";
import { qualified } from "../quote.ts";
import { findApiSchema } from "./install.ts";
import { schemaNameSql } from "./shards.ts";

/** A line as one island has it. */
export interface RecordedLine extends HistoryLine {
  workflowId: string;
  runId: string;
  /** The role of the session that wrote it. */
  role: string;
}

const historyTable = (apiSchema: string): string => qualified(apiSchema, "microsharding_history_");

/** The schema of the SQL API if it has a history, otherwise null: earlier installations have none. */
export async function findHistorySchema(client: ClientBase): Promise<string | null> {
  const apiSchema = await findApiSchema(client);
  if (apiSchema === null) return null;
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass($1) IS NOT NULL AS there", [
    historyTable(apiSchema),
  ]);
  return rows[0]!.there ? apiSchema : null;
}

/** Writes a line, unless it is there already. */
export async function writeHistoryLine(
  client: ClientBase,
  apiSchema: string,
  { workflowId, runId }: Pick<RecordedLine, "workflowId" | "runId">,
  line: HistoryLine,
): Promise<void> {
  const { writeBlocked, verified, reason } = line;
  const values = {
    run_id: runId,
    kind: line.kind,
    workflow_id: workflowId,
    name: line.name,
    schemas: line.schemas,
    islands: line.islands,
    from_island: line.from,
    to_island: line.to,
    started_by: line.startedBy,
    started_at: new Date(line.startedAt),
    ended_at: new Date(line.endedAt),
    size_bytes: line.sizeBytes,
    copied_bytes: line.copiedBytes,
    row_count: line.rows,
    blocked_attempts: writeBlocked?.attempts,
    blocked_longest_ms: writeBlocked?.longestMs,
    blocked_total_ms: writeBlocked?.totalMs,
    blocked_at_most: writeBlocked?.atMost,
    verified_tables: verified?.tables,
    verified_rows: verified?.rows,
    outcome: line.outcome,
    reason_code: reason?.code,
    reason: reason?.text,
  };
  const columns = Object.keys(values);
  await client.query(
    `INSERT INTO ${historyTable(apiSchema)} (${columns.join(", ")})
     VALUES (${columns.map((_, i) => `$${i + 1}`).join(", ")})
     ON CONFLICT DO NOTHING`,
    Object.values(values),
  );
}

/** Reads the latest lines, or those about one shard; the latest comes first. */
export async function readHistoryLines(
  client: ClientBase,
  apiSchema: string,
  { shard, limit }: { shard: number | null; limit: number },
): Promise<RecordedLine[]> {
  const milliseconds = (column: string): string => `extract(epoch FROM ${column}) * 1000`;
  const { rows } = await client.query<{ line: RecordedLine }>(
    `SELECT json_build_object(
       'runId', run_id, 'kind', kind, 'workflowId', workflow_id, 'name', name, 'schemas', schemas, 'islands', islands,
       'from', from_island, 'to', to_island, 'startedBy', started_by, 'role', role,
       'startedAt', ${milliseconds("started_at")}, 'endedAt', ${milliseconds("ended_at")},
       'sizeBytes', size_bytes, 'copiedBytes', copied_bytes, 'rows', row_count,
       'writeBlocked', CASE WHEN blocked_attempts IS NOT NULL THEN json_build_object(
         'attempts', blocked_attempts, 'longestMs', blocked_longest_ms, 'totalMs', blocked_total_ms,
         'atMost', blocked_at_most) END,
       'verified', CASE WHEN verified_tables IS NOT NULL THEN json_build_object(
         'tables', verified_tables, 'rows', verified_rows) END,
       'outcome', outcome,
       'reason', CASE WHEN reason_code IS NOT NULL THEN json_build_object(
         'code', reason_code, 'text', coalesce(reason, '')) END
     ) AS line
     FROM ${historyTable(apiSchema)}
     WHERE $1::int IS NULL OR ${schemaNameSql(apiSchema, "$1::int")} = ANY (schemas)
     ORDER BY ended_at DESC, run_id, kind
     LIMIT $2`,
    [shard, limit],
  );
  return rows.map(({ line }) => line);
}
