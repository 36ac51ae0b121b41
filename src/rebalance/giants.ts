/**
 * Shards heavier than an island's fair share. In the most even layout, such a shard is alone on its island, and the
 * difference from it hides how uneven the other islands are; so it is placed first, and the rest is balanced
 * separately.
 */
import { HOMELESS, type Placement, type Problem } from "./problem.ts";

export interface Settled {
  /** Where the giants are; HOMELESS for all other shards. */
  at: Placement;
  /** Islands that still take shards. */
  open: number[];
  /** Shards that have yet to be placed, heaviest first. */
  rest: number[];
}

/** Gives each giant an island of its own, at home if possible, and closes islands that are already full. */
export function settleGiants(problem: Problem): Settled {
  const at = new Int32Array(problem.weight.length).fill(HOMELESS);
  const open = Array.from({ length: problem.islands }, (_, island) => island);
  const rest = Array.from(problem.weight.keys());
  let total = problem.weight.reduce((a, b) => a + b, 0) + problem.base.reduce((a, b) => a + b, 0);
  while (open.length > 1 && rest.length > 0) {
    const fair = total / open.length;
    const giant = rest[0]!;
    const full = open.find((island) => problem.base[island]! > fair);
    const lowest = Math.min(...open.map((island) => problem.base[island]!));
    if (full === undefined && problem.weight[giant]! + lowest < fair) break;
    const island = full ?? islandFor(problem, giant, rest, open);
    open.splice(open.indexOf(island), 1);
    total -= problem.base[island]!;
    if (full !== undefined) continue;
    at[giant] = island;
    rest.shift();
    total -= problem.weight[giant]!;
  }
  return { at, open, rest };
}

/** The giant's home if that is free, otherwise the island whose own shards are cheapest to move away. */
function islandFor(problem: Problem, giant: number, rest: number[], open: number[]): number {
  const home = problem.home[giant]!;
  if (open.includes(home)) return home;
  const evicted = new Map(open.map((island) => [island, 0]));
  for (const shard of rest) {
    const cost = evicted.get(problem.home[shard]!);
    if (cost !== undefined) evicted.set(problem.home[shard]!, cost + problem.cost[shard]!);
  }
  return open.toSorted(
    (a, b) => evicted.get(a)! - evicted.get(b)! || problem.base[a]! - problem.base[b]! || a - b,
  )[0]!;
}

/** The problem that remains when the giants are placed: open islands and other shards, renumbered. */
export function withoutGiants(problem: Problem, { open, rest }: Settled): Problem {
  const indexOf = new Map(open.map((island, i) => [island, i]));
  return {
    islands: open.length,
    weight: Float64Array.from(rest, (shard) => problem.weight[shard]!),
    cost: Float64Array.from(rest, (shard) => problem.cost[shard]!),
    home: Int32Array.from(rest, (shard) => indexOf.get(problem.home[shard]!) ?? HOMELESS),
    base: Float64Array.from(open, (island) => problem.base[island]!),
    outside: problem.outside,
  };
}
