import { activeShardsSql } from "../postgres/api/shards.ts";
import { findSqlApi } from "../postgres/api/sql-api.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { readSequences, type ShardSequence } from "./read.ts";

/** The sequences of one shard. */
export interface ShardSequences {
  readonly island: ConnectedIsland;
  readonly no: number;
  readonly sequences: readonly ShardSequence[];
}

/** Reads the sequences of an island's active shards. */
export async function activeSequences(island: ConnectedIsland): Promise<ShardSequences[]> {
  const api = await findSqlApi(island.client);
  if (!api) return [];
  const { rows } = await island.client.query<{ schema: string }>(
    `SELECT nspname AS schema FROM (${activeShardsSql(api)}) shard ORDER BY 1`,
  );
  const shards = rows.flatMap(({ schema }) => {
    const no = api.shardNumber(schema);
    return no === null ? [] : [{ no, schema }];
  });
  return sequencesOf(island, shards);
}

/** Reads the sequences of some shards of an island. */
export async function sequencesOf(
  island: ConnectedIsland,
  shards: readonly { no: number; schema: string }[],
): Promise<ShardSequences[]> {
  const found = new Map<string, ShardSequence[]>(shards.map(({ schema }) => [schema, []]));
  for (const one of await readSequences(island.client, [...found.keys()])) found.get(one.schema)!.push(one);
  return shards.map(({ no, schema }) => ({ island, no, sequences: found.get(schema)! }));
}
