/**
 * Layouts for the planner's tests and benchmark, and the slow exact answer to compare it with.
 */
import type { IslandLoad, Layout, ShardLoad } from "../../src/rebalance/types.ts";

/**
 * A small generator of pseudo-random numbers in [0, 1) (mulberry32), so that every run sees the same cases.
 */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Makes a layout from weights: the bytes are the weights, and the shards are numbered from 1. */
export function layoutOf(weights: Record<string, readonly number[]>): IslandLoad[] {
  let no = 0;
  const shardOf = (weight: number): ShardLoad => {
    no++;
    return { no, schema: `sh${String(no).padStart(4, "0")}`, weight, bytes: weight };
  };
  return Object.entries(weights).map(([island, list]) => ({ island, shards: list.map(shardOf) }));
}

/** Makes shards with weights 10·e^U(0,3) at random places. */
export function randomLayout(random: () => number, islands: number, shards: number): IslandLoad[] {
  const weights = Object.fromEntries(Array.from({ length: islands }, (_, i) => [`i${i}`, [] as number[]]));
  for (let i = 0; i < shards; i++) {
    weights[`i${Math.floor(random() * islands)}`]!.push(10 * Math.exp(3 * random()));
  }
  return layoutOf(weights);
}

/** The weights of each island, by name. */
export function weightsOf(layout: Layout): Record<string, number[]> {
  return Object.fromEntries(layout.map(({ island, shards }) => [island, shards.map(({ weight }) => weight)]));
}

/** (heaviest − lightest) / mean of all islands but the named. */
export function spreadOf(layout: Layout, except: readonly string[] = []): number {
  const loads = layout
    .filter(({ island }) => !except.includes(island))
    .map(({ shards }) => shards.reduce((sum, { weight }) => sum + weight, 0));
  const total = loads.reduce((a, b) => a + b, 0);
  return total === 0 ? 0 : ((Math.max(...loads) - Math.min(...loads)) * loads.length) / total;
}

export interface Truth {
  /** The least spread of all placements. */
  spread: number;
  /** The fewest bytes that lead to a spread within the limit. */
  bytesFor(limit: number): number;
  /** The least spread that can be reached with so many bytes. */
  spreadFor(bytes: number): number;
}

/** Tries every placement of every shard. */
export function tryAll(layout: Layout): Truth {
  const shards = layout.flatMap(({ shards }, home) =>
    shards.map(({ weight, bytes }) => ({ weight, bytes, home })),
  );
  const loads = layout.map(() => 0);
  // Plain numbers, not objects: this is done 60 million times.
  const spreads = new Float64Array(loads.length ** shards.length);
  const moved = new Float64Array(spreads.length);
  const total = shards.reduce((sum, { weight }) => sum + weight, 0);
  let placement = 0;
  const visit = (i: number, bytes: number): void => {
    const shard = shards[i];
    if (!shard) {
      spreads[placement] = ((greatest(loads) - smallest(loads)) * loads.length) / total;
      moved[placement++] = bytes;
      return;
    }
    for (let island = 0; island < loads.length; island++) {
      loads[island]! += shard.weight;
      visit(i + 1, island === shard.home ? bytes : bytes + shard.bytes);
      loads[island]! -= shard.weight;
    }
  };
  visit(0, 0);
  const all = new Float64Array(spreads.length);
  return {
    spread: leastWhere(spreads, all, 0),
    bytesFor: (limit) => leastWhere(moved, spreads, limit),
    spreadFor: (bytes) => leastWhere(spreads, moved, bytes),
  };
}

const greatest = (values: number[]): number => values.reduce((a, b) => (a > b ? a : b));
const smallest = (values: number[]): number => values.reduce((a, b) => (a < b ? a : b));

/** The least of the values whose measure is at most the limit. */
function leastWhere(values: Float64Array, measure: Float64Array, limit: number): number {
  let least = Infinity;
  for (let i = 0; i < values.length; i++)
    if (measure[i]! <= limit * (1 + 1e-9) && values[i]! < least) least = values[i]!;
  return least;
}
