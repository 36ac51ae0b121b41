import type { ClientBase, QueryResult } from "pg";

/** Runs several statements in one round trip, and answers the rows of the last. */
export async function lastRows<Row extends object>(client: ClientBase, sql: string): Promise<Row[]> {
  const results = (await client.query(sql)) as unknown as QueryResult<Row>[];
  return results.at(-1)!.rows;
}
