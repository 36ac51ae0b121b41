/**
 * From a problem to a placement: how even it can become, how even it has to be, and the cheapest way there.
 *
 * Each step takes candidates from fast heuristics (greedy moves, LPT) and improves them by local search; a small
 * problem is then handed to branch and bound, which proves or improves the result. All effort is counted in nodes of
 * search trees.
 */
import { leastCost } from "./bounds.ts";
import { branchAndBound, type Goal } from "./branch-and-bound.ts";
import { evenOut, placeAnew, placeHomeless } from "./even-out.ts";
import { costOf, differenceOf, loadsOf, meanLoad, type Placement, type Problem } from "./problem.ts";
import { bringDown, cheapen } from "./refine.ts";

export interface Demand {
  /** Differences that count as none, in units of weight. */
  negligible: number;
  /** The difference that a cheaper placement may have, given the least one. */
  allowed(least: number): number;
  /** Limit for the cost; Infinity for none. */
  maxCost: number;
}

/** Problems up to this size are handed to branch and bound. */
const EXACT_SHARDS = 24;
const EXACT_NODES = 300_000;
/** Effort of one local search. */
const SEARCH_NODES = 2_000_000;
/** A cost this close to the lower bound is not improved further. */
const GOOD_ENOUGH = 1.03;
/** Steps for narrowing down the target that can be reached at a limited cost. */
const BUDGET_STEPS = 8;
const BUDGET_NODES = 150_000;

/**
 * Finds the cheapest placement that is as even as demanded or, with a limited cost, the most even one within
 * that cost.
 */
export function solve(problem: Problem, demand: Demand): Placement {
  const start = placeHomeless(problem, problem.home);
  if (problem.islands < 2 || difference(problem, start) <= demand.negligible) return start;

  const evenest = findEvenest(problem, start, demand.negligible);
  const target = Math.max(demand.negligible, demand.allowed(difference(problem, evenest)));
  // A gain too small to be noticed is not worth any move.
  if (difference(problem, start) <= target + demand.negligible) return start;
  const cheapest = findCheapest(problem, start, evenest, target);
  if (costOf(problem, cheapest) <= demand.maxCost) return cheapest;
  return findWithin(problem, start, target, demand.maxCost);
}

/** Finds a placement whose difference is the least possible, or negligible. */
function findEvenest(problem: Problem, start: Placement, negligible: number): Placement {
  const greedy = bringDown(problem, evenOut(problem, start, negligible), negligible, SEARCH_NODES);
  if (difference(problem, greedy) <= negligible) return greedy;
  const anew = bringDown(problem, placeAnew(problem, 0), negligible, SEARCH_NODES);
  const best = difference(problem, anew) < difference(problem, greedy) ? anew : greedy;
  return (
    exactly(problem, {
      minimize: "difference",
      maxDifference: difference(problem, best),
      maxCost: Infinity,
    }) ?? best
  );
}

/** Finds the cheapest placement whose difference is within the target, as that of the evenest placement is. */
function findCheapest(problem: Problem, start: Placement, evenest: Placement, target: number): Placement {
  const candidates = [
    () => start,
    () => bringDown(problem, evenOut(problem, start, target), target, SEARCH_NODES),
    () => evenest,
    () => bringDown(problem, placeAnew(problem, meanLoad(problem) + target / 2), target, SEARCH_NODES),
  ];
  const goodEnough = GOOD_ENOUGH * leastCost(problem, target);
  let best = evenest;
  let bestCost = Infinity;
  for (const candidate of candidates) {
    const at = candidate();
    if (difference(problem, at) > target * (1 + 1e-9)) continue;
    const nodes = costOf(problem, at) <= goodEnough ? 0 : SEARCH_NODES;
    const cheap = cheapen(problem, at, target, nodes);
    const cost = costOf(problem, cheap);
    if (cost < bestCost) [best, bestCost] = [cheap, cost];
    if (bestCost <= goodEnough) return best;
  }
  return exactly(problem, { minimize: "cost", maxDifference: target, maxCost: bestCost }) ?? best;
}

/** Finds the most even placement within a limited cost, and among those the cheapest. */
function findWithin(problem: Problem, start: Placement, tooDear: number, maxCost: number): Placement {
  let best = start;
  let low = tooDear;
  let high = difference(problem, start);
  for (let step = 0; step < BUDGET_STEPS && high - low > 1e-3 * low; step++) {
    const middle = (low + high) / 2;
    const at = bringDown(problem, evenOut(problem, start, middle), middle, BUDGET_NODES);
    const nodes = costOf(problem, at) <= GOOD_ENOUGH * leastCost(problem, middle) ? 0 : BUDGET_NODES;
    const cheap = difference(problem, at) <= middle ? cheapen(problem, at, middle, nodes) : at;
    const fits = costOf(problem, cheap) <= maxCost && difference(problem, cheap) <= difference(problem, best);
    if (fits) best = cheap;
    if (fits) high = Math.min(middle, difference(problem, cheap));
    else low = middle;
  }
  best =
    exactly(problem, { minimize: "difference", maxDifference: difference(problem, best), maxCost }) ?? best;
  const maxDifference = difference(problem, best);
  return exactly(problem, { minimize: "cost", maxDifference, maxCost: costOf(problem, best) }) ?? best;
}

function exactly(problem: Problem, goal: Omit<Goal, "nodes">): Placement | null {
  if (problem.weight.length > EXACT_SHARDS) return null;
  return branchAndBound(problem, { ...goal, nodes: EXACT_NODES }).at;
}

function difference(problem: Problem, at: Placement): number {
  return differenceOf(loadsOf(problem, at), problem.outside);
}
