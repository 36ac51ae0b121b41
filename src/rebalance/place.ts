/**
 * Assigns every shard of a setup to an island: tiny shards by count, giants alone, all others by weight.
 */
import { settleGiants, withoutGiants } from "./giants.ts";
import {
  differenceOf,
  HOMELESS,
  meanLoad,
  NOTHING_OUTSIDE,
  type Placement,
  type Problem,
  sum,
} from "./problem.ts";
import type { Item, SetUp } from "./set-up.ts";
import { type Demand, solve } from "./solve.ts";
import { dealOut, levelOut, tinyFrom } from "./tiny.ts";
import type { ShardLoad } from "./types.ts";

/**
 * Islands this close together, as a share of their mean weight, count as equal: a day of writes changes
 * more.
 */
const NEGLIGIBLE_SPREAD = 0.01;
/**
 * What a move costs in addition to its bytes, as a share of the mean shard's bytes; a limit on bytes counts only bytes.
 */
const COST_OF_A_MOVE = 0.01;

/** A way to place a setup. */
export interface Way {
  /** Deal out tiny shards by count; otherwise they stay where they are. */
  dealTiny: boolean;
  /** Balance the rest separately from shards heavier than a fair share; otherwise all together. */
  giantsApart: boolean;
}

/** The limits of a placement. */
export interface Limits {
  tolerance: number;
  /** The most bytes that may be moved in addition to those that must be moved. */
  maxBytes: number;
}

/** Places all shards in one of the ways. */
export function place(setup: SetUp<ShardLoad>, way: Way, { tolerance, maxBytes }: Limits): Placement {
  const { items, members } = setup;
  const at = Int32Array.from(items, ({ home }) => home);
  const [ofMean, ofMedian] = tinyFrom(
    Float64Array.from(items, ({ weight }) => weight),
    members.length,
  );
  const classes = [
    [ofMean, ofMedian],
    [ofMedian, items.length],
  ] as const;

  const base = Float64Array.from(setup.base);
  const counts = [...setup.baseCounts];
  for (const { home } of items.slice(0, ofMean)) if (home !== HOMELESS) counts[home]!++;
  let left = maxBytes;
  for (const [first, end] of classes) {
    const dealt = dealOut(items.slice(first, end), counts, way.dealTiny ? left : -1);
    dealt.forEach((island, i) => {
      const { home, bytes, weight } = items[first + i]!;
      at[first + i] = island;
      base[island]! += weight;
      counts[island]!++;
      if (home !== island && home !== HOMELESS) left -= bytes;
    });
  }

  const problem = toProblem(items.slice(0, ofMean), base, maxBytes === Infinity ? COST_OF_A_MOVE : 0);
  at.set(
    way.giantsApart
      ? solveAroundGiants(problem, tolerance, left)
      : solve(problem, demand(problem, tolerance, left)),
  );

  if (way.dealTiny && maxBytes === Infinity) {
    for (const range of classes) levelOut(items, at, range, { counts: setup.baseCounts, loads: setup.base });
  }
  return at;
}

/** Returns the ways that can lead to different placements, the usual one first. */
export function waysFor(setup: SetUp<ShardLoad>): Way[] {
  const weights = Float64Array.from(setup.items, ({ weight }) => weight);
  const [ofMean] = tinyFrom(weights, setup.members.length);
  const problem = toProblem(setup.items.slice(0, ofMean), setup.base, 0);
  const dealing = ofMean < setup.items.length ? [true, false] : [true];
  const apart = settleGiants(problem).open.length < problem.islands ? [true, false] : [true];
  return dealing.flatMap((dealTiny) => apart.map((giantsApart) => ({ dealTiny, giantsApart })));
}

function toProblem(items: Item<ShardLoad>[], base: Float64Array, costOfMove: number): Problem {
  // No move is free: a shard without bytes still takes a slot, a lock and a second.
  const fixed = (costOfMove * sum(items.map(({ bytes }) => bytes))) / Math.max(1, items.length);
  return {
    islands: base.length,
    weight: Float64Array.from(items, ({ weight }) => weight),
    cost: Float64Array.from(items, ({ bytes }) => Math.max(1, bytes + fixed)),
    home: Int32Array.from(items, ({ home }) => home),
    base,
    outside: NOTHING_OUTSIDE,
  };
}

function solveAroundGiants(problem: Problem, tolerance: number, maxCost: number): Placement {
  const settled = settleGiants(problem);
  const { at, open, rest } = settled;
  let left = maxCost;
  let heaviest = 0;
  problem.home.forEach((home, shard) => {
    if (at[shard] !== HOMELESS) heaviest = Math.max(heaviest, problem.weight[shard]!);
    const leaves = at[shard] === HOMELESS ? !open.includes(home) : at[shard] !== home;
    if (leaves && home !== HOMELESS) left -= problem.cost[shard]!;
  });
  if (left < 0) return solve(problem, demand(problem, tolerance, maxCost));
  const inner = withoutGiants(problem, settled);
  solve(inner, demand(inner, tolerance, left, heaviest)).forEach(
    (island, i) => (at[rest[i]!] = open[island]!),
  );
  return at;
}

/** What is demanded of a solution next to a giant of this weight. */
function demand(problem: Problem, tolerance: number, maxCost: number, giant = 0): Demand {
  const mean = meanLoad(problem);
  // At most half a shard may be neglected, or islands with equal shards could differ by two of them.
  const half = (problem.weight[Math.floor((problem.weight.length - 1) / 2)] ?? 0) / 2;
  return {
    negligible: Math.min(NEGLIGIBLE_SPREAD * mean, half),
    allowed: (least) => least + tolerance * Math.max(least, Math.min(mean, giant - mean)),
    maxCost,
  };
}

/** Returns (heaviest − lightest) / mean of the member islands. */
export function spreadOf({ items, base }: SetUp<ShardLoad>, at: Placement): number {
  const loads = Float64Array.from(base);
  at.forEach((island, i) => island !== HOMELESS && (loads[island]! += items[i]!.weight));
  const total = sum(loads);
  return total === 0 ? 0 : (differenceOf(loads) * loads.length) / total;
}
