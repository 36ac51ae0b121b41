/**
 * Empty and tiny shards. They weigh almost nothing yet but will grow, so they are dealt out by count: by weight
 * alone, a hundred newly allocated shards would stay where they were created.
 */
import { HOMELESS, indexOfMax, indexOfMin, sum } from "./problem.ts";

/** A shard of at most this share of the median shard is tiny. */
const TINY_OF_MEDIAN = 0.1;
/**
 * So is a shard of at most this share of the mean shard: many new shards would drag the median down to their own
 * size.
 */
const TINY_OF_MEAN = 0.01;

/** A shard to be dealt out, at its position in the plan's arrays, which are sorted from the heaviest shard down. */
export interface TinyShard {
  bytes: number;
  weight: number;
  home: number;
}

/**
 * Returns where the two classes of tiny shards begin in weights sorted from the heaviest down:
 * [first of those that are tiny by the mean, first of those that are tiny by the median].
 */
export function tinyFrom(weights: Float64Array, islands: number): [number, number] {
  const median = weights[Math.floor((weights.length - 1) / 2)] ?? 0;
  const ofMedian = firstNotAbove(weights, TINY_OF_MEDIAN * median);
  // A shard heavier than an island's fair share says nothing about the rest: it will be alone on its island anyway.
  let total = sum(weights.subarray(0, ofMedian));
  let giants = 0;
  for (; giants < ofMedian && islands - giants > 1; giants++) {
    if (weights[giants]! < total / (islands - giants)) break;
    total -= weights[giants]!;
  }
  const mean = total / Math.max(1, ofMedian - giants);
  return [Math.min(ofMedian, firstNotAbove(weights, TINY_OF_MEAN * mean)), ofMedian];
}

function firstNotAbove(weights: Float64Array, limit: number): number {
  const index = weights.findIndex((weight) => weight <= limit);
  return index < 0 ? weights.length : index;
}

/**
 * Deals out shards so that no two islands differ by more than one, moving as few of them and as few bytes as
 * possible, and no more than `maxBytes`. Homeless shards are placed in any case. The more shards islands already
 * have (`counts`), the later they get the odd ones.
 */
export function dealOut(
  shards: readonly TinyShard[],
  counts: readonly number[],
  maxBytes: number,
): Int32Array {
  const at = Int32Array.from(shards, ({ home }) => home);
  const quotas = shareOut(at, counts);
  const have = countOn(at, counts.length);
  const surplus = cheapestSurplus(shards, at, have, quotas, maxBytes);
  const load = new Float64Array(counts.length);
  at.forEach((island, i) => island !== HOMELESS && (load[island]! += shards[i]!.weight));
  for (const i of surplus) {
    let to = HOMELESS;
    for (let island = 0; island < quotas.length; island++) {
      if (have[island]! < quotas[island]! && (to === HOMELESS || load[island]! < load[to]!)) to = island;
    }
    if (to === HOMELESS) to = have.indexOf(Math.min(...have));
    at[i] = to;
    have[to]!++;
    load[to]! += shards[i]!.weight;
  }
  return at;
}

/**
 * How many shards each island should get: odd ones stay where they are, then go where there are the fewest shards.
 */
function shareOut(at: Int32Array, counts: readonly number[]): number[] {
  const have = countOn(at, counts.length);
  const each = Math.floor(at.length / counts.length);
  const odd = at.length - each * counts.length;
  const first = Array.from(counts.keys()).sort((a, b) => {
    const surplus = Number(have[b]! > each) - Number(have[a]! > each);
    return surplus || counts[a]! - counts[b]! || a - b;
  });
  const quotas = counts.map(() => each);
  for (const island of first.slice(0, odd)) quotas[island]!++;
  return quotas;
}

/**
 * Removes the surplus shards of islands that have too many, those with the fewest bytes first; returns them heaviest
 * first.
 */
function cheapestSurplus(
  shards: readonly TinyShard[],
  at: Int32Array,
  have: number[],
  quotas: readonly number[],
  maxBytes: number,
): number[] {
  const cheapestFirst = Array.from(at.keys()).sort((a, b) => shards[a]!.bytes - shards[b]!.bytes || b - a);
  let left = maxBytes;
  for (const i of cheapestFirst) {
    const island = at[i]!;
    if (island === HOMELESS || have[island]! <= quotas[island]! || shards[i]!.bytes > left) continue;
    at[i] = HOMELESS;
    have[island]!--;
    left -= shards[i]!.bytes;
  }
  return Array.from(at.keys()).filter((i) => at[i] === HOMELESS);
}

function countOn(at: Int32Array, islands: number): number[] {
  const counts = new Array<number>(islands).fill(0);
  for (const island of at) if (island !== HOMELESS) counts[island]!++;
  return counts;
}

/**
 * Moves odd tiny shards (of which one island has one more than another) from islands with many shards to those
 * with at least two fewer, so that all shards together are also even by count, if that costs next to
 * nothing.
 */
export function levelOut(shards: readonly TinyShard[], at: Int32Array, tinyRange: Range, base: Base): void {
  const totals = countOn(at, base.counts.length).map((count, island) => count + base.counts[island]!);
  const tiny = countOn(at.subarray(...tinyRange), totals.length);
  const loads = Float64Array.from(base.loads);
  at.forEach((island, i) => (loads[island]! += shards[i]!.weight));
  const light = (0.1 * sum(shards.map(({ bytes }) => bytes))) / shards.length;
  for (;;) {
    const each = Math.min(...tiny);
    const from = indexOfMax(totals.map((total, island) => (tiny[island]! > each ? total : -Infinity)));
    const to = indexOfMin(totals.map((total, island) => (tiny[island]! === each ? total : Infinity)));
    if (tiny[from] === each || totals[from]! - totals[to]! < 2) return;
    const shard = cheapestOn(from, shards, at, tinyRange, Math.max(0, loads[from]! - loads[to]!), light);
    if (shard === undefined) return;
    at[shard] = to;
    for (const [island, one] of [[from, -1] as const, [to, 1] as const]) {
      totals[island]! += one;
      tiny[island]! += one;
      loads[island]! += one * shards[shard]!.weight;
    }
  }
}

/** The first position of a class of tiny shards, and the one after the last. */
export type Range = readonly [number, number];

/** What is on the islands besides the shards. */
export interface Base {
  counts: readonly number[];
  loads: Float64Array;
}

/** The tiny shard of an island whose move adds the fewest bytes, among those within both limits. */
function cheapestOn(
  island: number,
  shards: readonly TinyShard[],
  at: Int32Array,
  [first, end]: Range,
  heaviest: number,
  dearest: number,
): number | undefined {
  let best: number | undefined;
  let bestBytes = Infinity;
  for (let i = end - 1; i >= first; i--) {
    const { weight, bytes, home } = shards[i]!;
    const added = home === island ? bytes : 0;
    if (at[i] !== island || weight > heaviest || added > dearest || added >= bestBytes) continue;
    [best, bestBytes] = [i, added];
  }
  return best;
}
