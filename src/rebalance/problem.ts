/**
 * The planner's internal model: a balancing problem in typed arrays, without names, so that hundreds of
 * thousands of shards can be searched quickly.
 *
 * There are two questions: how small can the difference between the heaviest and the lightest island
 * become (multiway number partitioning), and what is the cheapest set of moves that makes it small enough
 * (the load rebalancing problem of Aggarwal, Motwani and Zhu, 2003, with a cost for each job). Both are
 * NP-hard.
 */

export interface Problem {
  /** The number of islands. */
  islands: number;
  /** Weights of the shards, heaviest first. */
  weight: Float64Array;
  /** What moving a shard costs. */
  cost: Float64Array;
  /** Where each shard is now; HOMELESS if it has to leave anyway, wherever it goes. */
  home: Int32Array;
  /** The weight that stays on each island whatever is decided. */
  base: Float64Array;
  /** The heaviest and lightest of the islands outside this problem, which count in the difference. */
  outside: { heaviest: number; lightest: number };
}

export const HOMELESS = -1;

/** For each shard, the island on which it is. */
export type Placement = Int32Array;

export const NOTHING_OUTSIDE = { heaviest: -Infinity, lightest: Infinity } as const;

/** Returns the weight on each island. */
export function loadsOf(problem: Problem, at: Placement): Float64Array {
  const loads = Float64Array.from(problem.base);
  for (let shard = 0; shard < at.length; shard++) {
    const island = at[shard]!;
    if (island !== HOMELESS) loads[island]! += problem.weight[shard]!;
  }
  return loads;
}

/** Returns heaviest − lightest, over the problem's islands and those outside. */
export function differenceOf(loads: Float64Array, outside: Problem["outside"] = NOTHING_OUTSIDE): number {
  let { heaviest, lightest } = outside;
  for (const load of loads) {
    if (load > heaviest) heaviest = load;
    if (load < lightest) lightest = load;
  }
  return heaviest === -Infinity ? 0 : heaviest - lightest;
}

/** Returns the mean weight of an island. */
export function meanLoad(problem: Problem): number {
  return problem.islands === 0 ? 0 : (sum(problem.weight) + sum(problem.base)) / problem.islands;
}

/**
 * Returns the cost of the moves that lead from the homes to this placement; leaving a decommissioned island is
 * not counted.
 */
export function costOf(problem: Problem, at: Placement): number {
  let cost = 0;
  for (let shard = 0; shard < at.length; shard++) cost += costAt(problem, shard, at[shard]!);
  return cost;
}

/** Returns the cost of having this shard on this island. */
export function costAt(problem: Problem, shard: number, island: number): number {
  const home = problem.home[shard]!;
  return home === island || home === HOMELESS ? 0 : problem.cost[shard]!;
}

/** Returns the shards on each island, heaviest first. */
export function shardsByIsland(problem: Problem, at: Placement): number[][] {
  const lists: number[][] = Array.from({ length: problem.islands }, () => []);
  for (let shard = 0; shard < at.length; shard++) lists[at[shard]!]?.push(shard);
  return lists;
}

/** Adds up numbers, also those of a typed array. */
export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

/** Index of the largest value; the first one among equals. */
export function indexOfMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Index of the smallest value; the first one among equals. */
export function indexOfMin(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! < values[best]!) best = i;
  return best;
}
