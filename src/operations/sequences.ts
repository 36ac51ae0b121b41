import type { IslandName } from "../../workflows/contract.ts";
import type { Settings } from "../config/settings.ts";
import { UsageError } from "../errors.ts";
import { activeShardsSql, findSqlApi } from "../layout/api.ts";
import { activeNumbers } from "../layout/places.ts";
import type { ConnectedIsland } from "../postgres/discover.ts";
import { type Assignment, assignSequence, hasNumbers, planAssignments } from "../sequences/assign.ts";
import { highest, type SequenceMode } from "../sequences/own-values.ts";
import { lastUsed, readSequences, type ShardSequence } from "../sequences/read.ts";
import { onIslands } from "./islands.ts";

export interface SequencesRequest {
  /** interleave: N, N + 10000, …; range: a range of numbers for each shard. */
  mode: SequenceMode;
  /** Numbers of the shards; all active ones by default. */
  shards?: readonly number[] | undefined;
}

/** A sequence that has values of its own now. */
export interface AssignedSequence {
  readonly island: IslandName;
  readonly no: number;
  readonly schema: string;
  readonly sequence: string;
  /** The next value, as text: it may be larger than what a number holds exactly. */
  readonly next: string;
  /** False when it was so already. */
  readonly changed: boolean;
}

/** The sequences of one shard. */
export interface ShardSequences {
  readonly island: ConnectedIsland;
  readonly no: number;
  readonly sequences: readonly ShardSequence[];
}

/** Ids that a shard may hand out while others are being assigned: values of others begin so far beyond its last one. */
const LEEWAY = 1_000_000n;

/**
 * Gives the sequences of existing shards values that no other shard can produce, beyond all ids that any shard has used
 * so far in a sequence of the same name. May be run again at any time, while the application is at work.
 */
export async function assignSequences(
  settings: Settings,
  { mode, shards: wanted }: SequencesRequest,
): Promise<AssignedSequence[]> {
  return onIslands(settings, async (islands) => {
    const all = (await Promise.all(islands.map((island) => activeSequences(island)))).flat();
    const chosen = wanted ? all.filter(({ no }) => wanted.includes(no)) : all;
    const missing = (wanted ?? []).filter((no) => !chosen.some((shard) => shard.no === no));
    if (missing.length > 0) {
      throw new UsageError(
        `No active shard ${missing.join(", ")} on any island. The active shards are: ${await activeNumbers(islands)}.`,
      );
    }
    planAssignments(mode, chosen);
    const used = await valuesOfOthers(mode, all);
    const perIsland = islands.map((island) => chosen.filter((shard) => shard.island === island));
    return (await Promise.all(perIsland.map((shards) => assignShards(mode, shards, used)))).flat();
  });
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

/** For each name, the two shards that have used the most of the values that are not their own, and how much. */
type Used = ReadonlyMap<string, readonly { no: number; value: bigint }[]>;

const keyOf = ({ name, numbers }: ShardSequence): string => `${numbers.increment > 0n} ${name}`;

async function valuesOfOthers(mode: SequenceMode, all: readonly ShardSequences[]): Promise<Used> {
  const used = new Map<string, { no: number; value: bigint }[]>();
  const read = async ({ island, no, sequences }: ShardSequences): Promise<void> => {
    for (const assignment of withRoom(mode, no, sequences)) {
      // One that has its own values already has nobody else's.
      if (hasNumbers(assignment)) continue;
      const { sequence } = assignment;
      const far = highest(8);
      const value = await lastUsed(island.client, sequence, { ...sequence.numbers, min: -far, max: far });
      if (value !== null) used.set(keyOf(sequence), [...(used.get(keyOf(sequence)) ?? []), { no, value }]);
    }
  };
  const islands = new Set(all.map(({ island }) => island));
  await Promise.all(
    [...islands].map(async (island) => {
      for (const shard of all) if (shard.island === island) await read(shard);
    }),
  );
  const size = (value: bigint): bigint => (value < 0n ? -value : value);
  for (const list of used.values()) {
    list.sort((a, b) => (size(a.value) > size(b.value) ? -1 : 1)).splice(2);
  }
  return used;
}

/** Those that could not get values of their own count for nothing here; they are refused elsewhere. */
const withRoom = (mode: SequenceMode, no: number, sequences: readonly ShardSequence[]): Assignment[] =>
  sequences
    .filter(({ width }) => width > 2)
    .flatMap((one) => planAssignments(mode, [{ no, sequences: [one] }]));

/** Assigns the sequences of some shards, one after the other. */
export async function assignShards(
  mode: SequenceMode,
  shards: readonly ShardSequences[],
  used: Used = new Map(),
): Promise<AssignedSequence[]> {
  const done: AssignedSequence[] = [];
  for (const { island, no, sequences } of shards) {
    for (const assignment of planAssignments(mode, [{ no, sequences }])) {
      const { sequence, numbers } = assignment;
      const other = used.get(keyOf(sequence))?.find((one) => one.no !== no)?.value;
      const leeway = sequence.width < 8 ? LEEWAY / 10n : LEEWAY;
      const beyond = other === undefined ? null : other + (numbers.increment > 0n ? leeway : -leeway);
      const { next, changed } = await assignSequence(island.client, assignment, beyond);
      done.push({
        ...{ island: island.name, no, schema: sequence.schema, sequence: sequence.name },
        ...{ next: String(next), changed },
      });
    }
  }
  return done;
}
