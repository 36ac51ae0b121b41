import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { requireActive } from "../layout/where.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import {
  type Assignment,
  assignSequence,
  hasNumbers,
  nextIfRight,
  planAssignments,
  questionOf,
} from "../sequences/assign.ts";
import { activeSequences, type ShardSequences } from "../sequences/of-shards.ts";
import { highest, type SequenceMode } from "../sequences/own-values.ts";
import { readUsed, type ShardSequence } from "../sequences/read.ts";
import { onIslands } from "./with-islands.ts";

export interface SequencesRequest {
  /** interleave: N, N + 10000, …; range: a range of numbers for each shard. */
  mode: SequenceMode;
  /** Numbers of the shards; by default all active ones. */
  shards?: readonly number[] | undefined;
  /** Only looks which sequences would be changed. */
  dryRun?: boolean | undefined;
}

/** A sequence that now has values of its own. */
export interface AssignedSequence {
  readonly island: IslandName;
  readonly no: number;
  readonly schema: string;
  readonly sequence: string;
  /** The next value, as text: it may be too large for an exact number. Null in a dry run, if it would be changed. */
  readonly next: string | null;
  /** False if it already had values of its own. */
  readonly changed: boolean;
}

/** How far beyond the last id of a shard the values of others begin: it may hand out ids during the assignment. */
const LEEWAY = 1_000_000n;

/**
 * Gives the sequences of existing shards values that no other shard can produce, beyond all ids that any shard has used
 * so far from a sequence of the same name. May be run again at any time, while the application is running.
 */
export async function assignSequences(
  settings: Settings,
  { mode, shards: wanted, dryRun = false }: SequencesRequest,
): Promise<AssignedSequence[]> {
  return onIslands(settings, async (islands) => {
    const all = (await Promise.all(islands.map((island) => activeSequences(island)))).flat();
    const numbers = new Set(wanted ?? all.map(({ no }) => no));
    const chosen = all.filter(({ no }) => numbers.has(no));
    await requireActive(islands, all, numbers);
    planAssignments(mode, chosen);
    const used = await valuesOfOthers(mode, islands, all);
    const perIsland = islands.map((island) => chosen.filter((shard) => shard.island === island));
    return (await Promise.all(perIsland.map((shards) => assignShards(mode, shards, used, dryRun)))).flat();
  });
}

/** For each name, the two shards that have gone furthest in values that are not their own, and how far. */
type Used = ReadonlyMap<string, readonly { no: number; value: bigint }[]>;

const keyOf = ({ name, numbers }: ShardSequence): string => `${numbers.increment > 0n} ${name}`;

async function valuesOfOthers(
  mode: SequenceMode,
  islands: readonly ConnectedIsland[],
  all: readonly ShardSequences[],
): Promise<Used> {
  const used = new Map<string, { no: number; value: bigint }[]>();
  const far = highest(8);
  const read = async (island: ConnectedIsland): Promise<void> => {
    const shards = all.filter((shard) => shard.island === island);
    const foreign = shards.flatMap(({ no, sequences }) =>
      // A sequence that already has its own values has used nobody else's.
      withRoom(mode, no, sequences)
        .filter((assignment) => !hasNumbers(assignment))
        .map(({ sequence }) => ({ no, sequence })),
    );
    const answers = await readUsed(
      island.client,
      foreign.map(({ sequence }) => ({
        sequence,
        columns: sequence.columns,
        bounds: { ...sequence.numbers, min: -far, max: far },
      })),
    );
    for (const [i, { last }] of answers.entries()) {
      const { no, sequence } = foreign[i]!;
      if (last === null) continue;
      const list = used.get(keyOf(sequence)) ?? [];
      used.set(keyOf(sequence), list);
      list.push({ no, value: last });
    }
  };
  await Promise.all(islands.map(read));
  const size = (value: bigint): bigint => (value < 0n ? -value : value);
  for (const list of used.values()) {
    list.sort((a, b) => (size(a.value) > size(b.value) ? -1 : 1)).splice(2);
  }
  return used;
}

/** Leaves out sequences that cannot get values of their own; those are refused elsewhere. */
const withRoom = (mode: SequenceMode, no: number, sequences: readonly ShardSequence[]): Assignment[] =>
  sequences
    .filter(({ width }) => width > 2)
    .flatMap((one) => planAssignments(mode, [{ no, sequences: [one] }]));

/** Assigns the sequences of some shards of an island: reads them all at once, and changes them one after another. */
export async function assignShards(
  mode: SequenceMode,
  shards: readonly ShardSequences[],
  used: Used = new Map(),
  dryRun = false,
): Promise<AssignedSequence[]> {
  const [first] = shards;
  if (!first) return [];
  const { client, name: island } = first.island;
  const all = shards.flatMap(({ no, sequences }) =>
    planAssignments(mode, [{ no, sequences }]).map((assignment) => ({ no, assignment })),
  );
  const own = all.filter(({ assignment }) => hasNumbers(assignment));
  const answers = await readUsed(
    client,
    own.map(({ assignment }) => questionOf(assignment)),
  );
  const right = new Map(own.map((one, i) => [one, nextIfRight(one.assignment, answers[i]!)]));
  const done: AssignedSequence[] = [];
  for (const one of all) {
    const { no, assignment } = one;
    const { schema, name } = assignment.sequence;
    const known = right.get(one) ?? null;
    const place = { island, no, schema, sequence: name };
    if (known !== null) done.push({ ...place, next: String(known), changed: false });
    else if (dryRun) done.push({ ...place, next: null, changed: true });
    else {
      const { next, changed } = await assignSequence(client, assignment, beyondOthers(used, no, assignment));
      done.push({ ...place, next: String(next), changed });
    }
  }
  return done;
}

/** Returns the value beyond which a shard's own values may begin, given those that others have used; null if none. */
function beyondOthers(used: Used, no: number, { sequence, numbers }: Assignment): bigint | null {
  const other = used.get(keyOf(sequence))?.find((one) => one.no !== no)?.value;
  const leeway = sequence.width < 8 ? LEEWAY / 10n : LEEWAY;
  return other === undefined ? null : other + (numbers.increment > 0n ? leeway : -leeway);
}
