import type { ClientBase } from "pg";

import { apiSchemaOf } from "../../../src/postgres/api/sql-api.ts";
import { literal, qualified } from "../../../src/postgres/quote.ts";
import type { MoveStep } from "./step.ts";

/** How far an earlier attempt of this very run has come: read from the book of switches on both islands. */
export interface Outcome {
  left: { leftover: string; switchLsn: string; epoch: string } | null;
  arrived: boolean;
}

/** True when the source has let go of the shard: from then on the way leads forward only. */
export async function hasLeft(step: MoveStep): Promise<boolean> {
  return step.onSource(async (client) => {
    const { rowCount } = await client.query(
      `SELECT FROM ${await bookOf(client, step.from)}
       WHERE schema_name = $1 AND role = 'source' AND workflow_id = $2 AND run_id = $3`,
      [step.schema, step.workflowId, step.runId],
    );
    return rowCount === 1;
  });
}

/** Looks on both islands what has happened: never assumed, always looked up. */
export async function lookAtOutcome(step: MoveStep): Promise<Outcome> {
  const left = await step.onSource(async (client) => {
    const { rows } = await client.query<{ leftover: string; switchLsn: string; epoch: string }>(
      `SELECT leftover, switch_lsn AS "switchLsn", epoch FROM ${await bookOf(client, step.from)}
       WHERE schema_name = $1 AND role = 'source' AND workflow_id = $2 AND run_id = $3`,
      [step.schema, step.workflowId, step.runId],
    );
    return rows[0] ?? null;
  });
  // What has not left has not arrived either; and no destination is asked in vain that is another database by now.
  if (!left) return { left, arrived: false };
  const arrived = await step.onDestination(async (client) => {
    const { rowCount } = await client.query(
      `SELECT FROM ${await bookOf(client, step.to)}
       WHERE schema_name = $1 AND role = 'destination' AND workflow_id = $2 AND run_id = $3`,
      [step.schema, step.workflowId, step.runId],
    );
    return rowCount === 1;
  });
  return { left, arrived };
}

const bookOf = async (client: ClientBase, island: string): Promise<string> =>
  qualified(await apiSchemaOf(client, island), "microsharding_moves_");

/** What both sides write into the book of switches. */
export interface BookEntry {
  schema: string;
  shard: number;
  workflowId: string;
  runId: string;
  epoch: string;
}

/** Writes the last switch of a shard, replacing the one before. */
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
  return `INSERT INTO ${qualified(apiSchema, "microsharding_moves_")} AS m
      (schema_name, role, workflow_id, run_id, peer, epoch, state, leftover, switch_lsn)
    VALUES (${values.join(", ")})
    ON CONFLICT (schema_name, role) DO UPDATE SET
      workflow_id = excluded.workflow_id, run_id = excluded.run_id, peer = excluded.peer, epoch = excluded.epoch,
      state = excluded.state, leftover = excluded.leftover, switch_lsn = excluded.switch_lsn, switched_at = clock_timestamp()`;
}

/** The largest epoch that an island has ever seen of a shard. */
export async function epochOf(client: ClientBase, apiSchema: string, schema: string): Promise<bigint> {
  const { rows } = await client.query<{ epoch: string }>(
    `SELECT coalesce(max(epoch), 0) AS epoch FROM ${qualified(apiSchema, "microsharding_moves_")} WHERE schema_name = $1`,
    [schema],
  );
  return BigInt(rows[0]!.epoch);
}
