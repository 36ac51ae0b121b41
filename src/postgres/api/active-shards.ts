import type { ClientBase } from "pg";

import { activeShardsSql } from "./shards.ts";
import { findSqlApi } from "./sql-api.ts";

/** A shard that is active on an island. */
export interface ActiveShard {
  readonly no: number;
  readonly schema: string;
}

/** Reads the active shards of a database, in the order of their names; none if the SQL API is missing. */
export async function readActiveShards(client: ClientBase): Promise<ActiveShard[]> {
  const api = await findSqlApi(client);
  if (!api) return [];
  const { rows } = await client.query<{ schema: string }>(
    `SELECT nspname AS schema FROM (${activeShardsSql(api)}) shard ORDER BY 1`,
  );
  return rows.flatMap(({ schema }) => {
    const no = api.shardNumber(schema);
    return no === null ? [] : [{ no, schema }];
  });
}
