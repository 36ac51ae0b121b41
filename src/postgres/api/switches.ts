import type { ClientBase } from "pg";

import { literal, qualified } from "../quote.ts";
import { rowsOfEach, untilSql } from "../session.ts";

/** The book of switches: which shards have left an island or arrived there, and by which move. */
export const switchesTable = (apiSchema: string): string => qualified(apiSchema, "microsharding_moves_");

/** A run of a move, as the book of switches knows it. */
export interface SwitchKey {
  schema: string;
  workflowId: string;
  runId: string;
}

/** How a shard has left an island. */
export interface LeftEntry {
  leftover: string;
  switchLsn: string;
  epoch: string;
}

/** What the source's book says about a shard that a run has moved away; null if it has not left. */
export async function readLeft(
  client: ClientBase,
  apiSchema: string,
  { schema, workflowId, runId }: SwitchKey,
): Promise<LeftEntry | null> {
  const { rows } = await client.query<LeftEntry>(
    `SELECT leftover, switch_lsn AS "switchLsn", epoch FROM ${switchesTable(apiSchema)}
     WHERE schema_name = $1 AND role = 'source' AND workflow_id = $2 AND run_id = $3`,
    [schema, workflowId, runId],
  );
  return rows[0] ?? null;
}

/**
 * Waits until the source's book says that a run has moved the shard away, for at most `ms` milliseconds; returns whether it
 * does. What others see is durable, unless the commit does not wait for the disk.
 */
export async function waitUntilLeft(
  client: ClientBase,
  apiSchema: string,
  { schema, workflowId, runId }: SwitchKey,
  ms: number,
): Promise<boolean> {
  const left = `SELECT FROM ${switchesTable(apiSchema)} WHERE schema_name = ${literal(schema)} AND role = 'source'
    AND workflow_id = ${literal(workflowId)} AND run_id = ${literal(runId)}`;
  const [, rows] = await rowsOfEach(client, [untilSql(`EXISTS (${left})`, ms), left]);
  return rows!.length === 1;
}

/**
 * SQL for the transaction in which a shard arrives, when everything has been applied: records the destination's own
 * position. What the shard's way back has to send comes after it, since that transaction's commit does.
 */
export const recordArrivalSql = (apiSchema: string, schema: string): string =>
  `UPDATE ${switchesTable(apiSchema)} SET switch_lsn = pg_current_wal_insert_lsn()
   WHERE schema_name = ${literal(schema)} AND role = 'destination'`;

/** When a shard has arrived by a run: at which position of the destination, and how many milliseconds ago. */
export async function readArrival(
  client: ClientBase,
  apiSchema: string,
  { schema, workflowId, runId }: SwitchKey,
): Promise<{ position: string; msAgo: number } | null> {
  const { rows } = await client.query<{ position: string; msAgo: number }>(
    `SELECT switch_lsn AS position, (1000 * extract(epoch FROM clock_timestamp() - switched_at))::float8 AS "msAgo"
     FROM ${switchesTable(apiSchema)}
     WHERE schema_name = $1 AND role = 'destination' AND workflow_id = $2 AND run_id = $3`,
    [schema, workflowId, runId],
  );
  return rows[0] ?? null;
}

/** From which islands shards have arrived, by schema. */
export async function readPeers(
  client: ClientBase,
  apiSchema: string,
  schemas: readonly string[],
): Promise<Map<string, string>> {
  const { rows } = await client.query<{ schema: string; peer: string }>(
    `SELECT schema_name AS schema, peer FROM ${switchesTable(apiSchema)}
     WHERE schema_name = ANY ($1) AND role = 'destination'`,
    [schemas],
  );
  return new Map(rows.map(({ schema, peer }) => [schema, peer]));
}

/** True if the destination's book says that a shard has arrived by a run. */
export const hasArrived = async (...where: Parameters<typeof readArrival>): Promise<boolean> =>
  (await readArrival(...where)) !== null;

/** True if a shard has left an island since it arrived there. */
export async function hasLeftSinceArrival(
  client: ClientBase,
  apiSchema: string,
  schema: string,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT FROM ${switchesTable(apiSchema)} l JOIN ${switchesTable(apiSchema)} a USING (schema_name)
     WHERE schema_name = $1 AND l.role = 'source' AND a.role = 'destination' AND l.epoch > a.epoch`,
    [schema],
  );
  return rowCount === 1;
}

/** What both sides write into the book of switches. */
export interface BookEntry extends SwitchKey {
  shard: number;
  epoch: string;
}

/** SQL that records the last switch of a shard, replacing the previous one. */
export function bookRow(
  apiSchema: string,
  entry: BookEntry,
  role: "source" | "destination",
  peer: string,
  leftover: string | null,
  switchLsn: string | null,
): string {
  const values = [
    entry.schema,
    role,
    entry.workflowId,
    entry.runId,
    peer,
    entry.epoch,
    role === "source" ? "left" : "arrived",
    leftover,
    switchLsn,
  ].map((value) => (value === null ? "NULL" : literal(value)));
  return `INSERT INTO ${switchesTable(apiSchema)} AS m
      (schema_name, role, workflow_id, run_id, peer, epoch, state, leftover, switch_lsn)
    VALUES (${values.join(", ")})
    ON CONFLICT (schema_name, role) DO UPDATE SET
      workflow_id = excluded.workflow_id, run_id = excluded.run_id, peer = excluded.peer, epoch = excluded.epoch,
      state = excluded.state, leftover = excluded.leftover, switch_lsn = excluded.switch_lsn, switched_at = clock_timestamp()`;
}

/** The largest epoch that an island has ever seen for a shard. */
export async function epochOf(client: ClientBase, apiSchema: string, schema: string): Promise<bigint> {
  const { rows } = await client.query<{ epoch: string }>(
    `SELECT coalesce(max(epoch), 0) AS epoch FROM ${switchesTable(apiSchema)} WHERE schema_name = $1`,
    [schema],
  );
  return BigInt(rows[0]!.epoch);
}
