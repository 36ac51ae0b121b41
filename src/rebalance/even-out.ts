/**
 * The fast first step for problems of any size: greedy placement and greedy moves, O(moves × shards of an
 * island).
 */
import {
  costAt,
  HOMELESS,
  indexOfMax,
  indexOfMin,
  loadsOf,
  meanLoad,
  type Placement,
  type Problem,
  shardsByIsland,
} from "./problem.ts";

/** Places every homeless shard on the island that is lightest at that point, heaviest first (Graham's LPT rule, 1969). */
export function placeHomeless(problem: Problem, at: Placement): Placement {
  const placed = Int32Array.from(at);
  const loads = loadsOf(problem, at);
  for (let shard = 0; shard < placed.length; shard++) {
    if (placed[shard] !== HOMELESS) continue;
    const island = indexOfMin(loads);
    placed[shard] = island;
    loads[island]! += problem.weight[shard]!;
  }
  return placed;
}

/**
 * Places all shards from scratch, heaviest first: at home if it fits below the capacity, otherwise on the lightest
 * island.
 */
export function placeAnew(problem: Problem, capacity: number): Placement {
  const at = new Int32Array(problem.weight.length).fill(HOMELESS);
  const loads = Float64Array.from(problem.base);
  for (let shard = 0; shard < at.length; shard++) {
    const home = problem.home[shard]!;
    const stays = home !== HOMELESS && loads[home]! + problem.weight[shard]! <= capacity;
    const island = stays ? home : indexOfMin(loads);
    at[shard] = island;
    loads[island]! += problem.weight[shard]!;
  }
  return at;
}

/**
 * Moves shards from the currently heaviest to the currently lightest island until their difference is small
 * enough or no single move helps. If possible, it takes a shard that overshoots on neither side, so that every byte
 * goes from where there is too much to where there is too little; of those, the one with the most weight for
 * its cost.
 */
export function evenOut(problem: Problem, start: Placement, maxDifference: number): Placement {
  const at = Int32Array.from(start);
  const loads = loadsOf(problem, at);
  const shards = shardsByIsland(problem, at);
  const mean = meanLoad(problem);
  for (let step = 0; step < at.length; step++) {
    const from = indexOfMax(loads);
    const to = indexOfMin(loads);
    if (loads[from]! - loads[to]! <= maxDifference) break;
    const room = Math.min(loads[from]! - mean, mean - loads[to]!) + maxDifference / 2;
    const list = shards[from]!;
    let index = bestThatFits(problem, list, to, at, room);
    if (index < 0) index = bestOfHalf(problem, list, loads[from]! - loads[to]!);
    if (index < 0) break;
    const [shard] = list.splice(index, 1) as [number];
    shards[to]!.push(shard);
    at[shard] = to;
    loads[from]! -= problem.weight[shard]!;
    loads[to]! += problem.weight[shard]!;
  }
  return at;
}

/** Index of the shard with the most weight for its cost that fits into the room; among equals, the heaviest. */
function bestThatFits(problem: Problem, list: number[], to: number, at: Placement, room: number): number {
  let best = -1;
  let bestValue = 0;
  let bestWeight = 0;
  for (let i = 0; i < list.length; i++) {
    const shard = list[i]!;
    const weight = problem.weight[shard]!;
    if (weight > room || weight === 0) continue;
    const cost = costAt(problem, shard, to) - costAt(problem, shard, at[shard]!);
    const value = cost <= 0 ? Infinity : weight / cost;
    if (value < bestValue || (value === bestValue && weight <= bestWeight)) continue;
    [best, bestValue, bestWeight] = [i, value, weight];
  }
  return best;
}

/** Index of the shard whose move brings two islands that are this far apart closest together. */
function bestOfHalf(problem: Problem, list: number[], gap: number): number {
  let best = -1;
  let bestGain = 0;
  for (let i = 0; i < list.length; i++) {
    const weight = problem.weight[list[i]!]!;
    const gain = weight * (gap - weight);
    if (gain > bestGain * (1 + 1e-12)) [best, bestGain] = [i, gain];
  }
  return best;
}
