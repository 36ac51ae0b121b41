import { type ActiveShard, readActiveShards } from "../postgres/api/active-shards.ts";
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
  return sequencesOf(island, await readActiveShards(island.client));
}

/** Reads the sequences of some shards of an island. */
export async function sequencesOf(
  island: ConnectedIsland,
  shards: readonly ActiveShard[],
): Promise<ShardSequences[]> {
  const found = new Map<string, ShardSequence[]>(shards.map(({ schema }) => [schema, []]));
  for (const one of await readSequences(island.client, [...found.keys()])) found.get(one.schema)!.push(one);
  return shards.map(({ no, schema }) => ({ island, no, sequences: found.get(schema)! }));
}
