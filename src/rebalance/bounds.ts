/**
 * Lower bounds that no plan can beat, which show when searching further is useless.
 */
import { meanLoad, type Problem, sum } from "./problem.ts";

/**
 * Returns a lower bound for the cost of every placement whose difference is within the limit: then the islands
 * span the mean, so each island that is too heavy by itself sheds at least what lies above mean + limit, as if its
 * shards were liquid.
 */
export function leastCost(problem: Problem, maxDifference: number): number {
  const ceiling = meanLoad(problem) + maxDifference;
  const own: number[][] = Array.from({ length: problem.islands }, () => []);
  problem.home.forEach((island, shard) => own[island]?.push(shard));
  return sum(own.map((shards, island) => costOfShedding(problem, shards, problem.base[island]! - ceiling)));
}

/** The cost of the cheapest liquid part of an island's shards that brings its load down to zero. */
function costOfShedding({ weight, cost }: Problem, shards: number[], baseLoad: number): number {
  let excess = baseLoad + sum(shards.map((shard) => weight[shard]!));
  if (excess <= 0) return 0;
  let total = 0;
  const cheapestFirst = shards.filter((shard) => weight[shard]! > 0);
  cheapestFirst.sort((a, b) => cost[a]! / weight[a]! - cost[b]! / weight[b]!);
  for (const shard of cheapestFirst) {
    if (excess <= 0) break;
    total += cost[shard]! * Math.min(1, excess / weight[shard]!);
    excess -= weight[shard]!;
  }
  return total;
}
