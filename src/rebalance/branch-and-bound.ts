/**
 * Exact search, for problems with few shards: whole small clusters, and small neighbourhoods of large ones.
 */
import { costAt, differenceOf, HOMELESS, type Placement, type Problem } from "./problem.ts";

export interface Goal {
  /** What is minimized. The other one only has to stay within its limit. */
  minimize: "difference" | "cost";
  /** Limit for heaviest − lightest. */
  maxDifference: number;
  maxCost: number;
  /**
   * How many nodes of the search tree may be visited: a count, not a time limit, so that the result never
   * varies.
   */
  nodes: number;
}

export interface Found {
  /**
   * The best placement; null if none was found that is within the limits, and better than the limit for what
   * is minimized.
   */
  at: Placement | null;
  /** Whether the whole tree was searched, so that there is no better one. */
  complete: boolean;
  nodes: number;
}

/**
 * Finds the placement with the least difference or the least cost, depth first over the shards from the
 * heaviest down (as in Korf, "Multi-way number partitioning", 2009). A branch is cut when even liquid shards,
 * poured so that the lightest islands fill up first, could not come below the limit.
 */
export function branchAndBound(problem: Problem, goal: Goal): Found {
  const search = new Search(problem, goal);
  search.visit(0, 0);
  return { at: search.best, complete: search.nodesLeft > 0, nodes: goal.nodes - search.nodesLeft };
}

class Search {
  best: Placement | null = null;
  nodesLeft: number;
  readonly #problem: Problem;
  readonly #goal: Goal;
  readonly #at: Placement;
  readonly #loads: Float64Array;
  /** The weight of all shards from this one on. */
  readonly #rest: Float64Array;
  /**
   * For each depth, the islands from the lightest up; one array, so that nothing is allocated while searching.
   */
  readonly #orders: Int32Array[];
  readonly #interchangeable: Uint8Array;
  /** Whether islands of the same weight are the same to the search. */
  readonly #anonymous: boolean;
  /** More than the rounding errors of sums. */
  readonly #epsilon: number;
  #maxDifference: number;
  #maxCost: number;

  constructor(problem: Problem, goal: Goal) {
    const count = problem.weight.length;
    this.#problem = problem;
    this.#goal = goal;
    this.nodesLeft = goal.nodes;
    this.#at = new Int32Array(count).fill(HOMELESS);
    this.#loads = Float64Array.from(problem.base);
    this.#rest = new Float64Array(count + 1);
    for (let i = count - 1; i >= 0; i--) this.#rest[i] = this.#rest[i + 1]! + problem.weight[i]!;
    this.#orders = Array.from({ length: count + 1 }, () => new Int32Array(problem.islands));
    this.#anonymous = goal.minimize === "difference" && goal.maxCost === Infinity;
    this.#interchangeable = interchangeableShards(problem, this.#anonymous);
    this.#epsilon = 1e-10 * (this.#rest[0]! + problem.base.reduce((a, b) => Math.max(a, b), 0));
    this.#maxDifference = goal.maxDifference + this.#epsilon;
    this.#maxCost = goal.maxCost * (1 + 1e-12);
    this.#demandBetter(goal.maxDifference, goal.maxCost);
  }

  visit(shard: number, cost: number): void {
    if (this.nodesLeft <= 0) return;
    this.nodesLeft--;
    const order = this.#sortIslands(shard);
    if (this.#lowestDifference(order, shard) > this.#maxDifference) return;
    if (shard === this.#at.length) return this.#keep(cost);

    const own = this.#problem.home[shard]!;
    // If moves are what counts, staying is tried first: a good placement found early cuts more branches.
    const favourite = this.#goal.minimize === "cost" ? own : HOMELESS;
    const first = this.#interchangeable[shard] ? this.#at[shard - 1]! : 0;
    if (favourite !== HOMELESS && favourite >= first) this.#place(shard, favourite, cost);
    let previousLoad = NaN;
    for (const island of order) {
      if (island < first || island === favourite) continue;
      if (this.#anonymous && this.#loads[island] === previousLoad) continue;
      previousLoad = this.#loads[island]!;
      this.#place(shard, island, cost + costAt(this.#problem, shard, island));
    }
  }

  #place(shard: number, island: number, cost: number): void {
    if (cost > this.#maxCost) return;
    const before = this.#loads[island]!;
    this.#at[shard] = island;
    this.#loads[island] = before + this.#problem.weight[shard]!;
    this.visit(shard + 1, cost);
    this.#loads[island] = before;
  }

  /** Sorts the islands by load. Insertion sort, because there are few islands, and they are nearly sorted. */
  #sortIslands(depth: number): Int32Array {
    const order = this.#orders[depth]!;
    const loads = this.#loads;
    for (let island = 0; island < order.length; island++) {
      let i = island;
      for (; i > 0 && loads[order[i - 1]!]! > loads[island]!; i--) order[i] = order[i - 1]!;
      order[i] = island;
    }
    return order;
  }

  /** A lower bound for the difference of all placements of the shards from this one on. */
  #lowestDifference(order: Int32Array, shard: number): number {
    const loads = this.#loads;
    const { heaviest, lightest } = this.#problem.outside;
    let level = 0;
    let poured = this.#rest[shard]!;
    for (let i = 0; i < order.length; i++) {
      poured += loads[order[i]!]!;
      level = poured / (i + 1);
      if (i + 1 === order.length || level <= loads[order[i + 1]!]!) break;
    }
    return Math.max(loads[order[order.length - 1]!]!, level, heaviest) - Math.min(level, lightest);
  }

  #keep(cost: number): void {
    this.best = Int32Array.from(this.#at);
    this.#demandBetter(differenceOf(this.#loads, this.#problem.outside), cost);
  }

  #demandBetter(difference: number, cost: number): void {
    if (this.#goal.minimize === "difference") this.#maxDifference = difference - this.#epsilon;
    else this.#maxCost = cost * (1 - 1e-9) - Number.MIN_VALUE;
  }
}

/** Marks each shard that is equivalent to the one before it for the search: only one order of them is tried. */
function interchangeableShards({ weight, cost, home }: Problem, anonymous: boolean): Uint8Array {
  return Uint8Array.from(weight, (w, i) => {
    if (i === 0 || w !== weight[i - 1]) return 0;
    return anonymous || (cost[i] === cost[i - 1] && home[i] === home[i - 1]) ? 1 : 0;
  });
}
