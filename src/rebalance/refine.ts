/**
 * Local search with large neighbourhoods (Shaw, 1998): a few islands and a few of their shards are picked,
 * everything else is kept fixed, and that small problem is solved exactly.
 */
import { branchAndBound } from "./branch-and-bound.ts";
import {
  costAt,
  costOf,
  differenceOf,
  HOMELESS,
  indexOfMax,
  indexOfMin,
  loadsOf,
  meanLoad,
  NOTHING_OUTSIDE,
  type Placement,
  type Problem,
  shardsByIsland,
} from "./problem.ts";

/**
 * Shards that are free in a neighbourhood of two, three and four islands. Fewer would cost bytes, more would cost time.
 */
const FREE_SHARDS = [0, 0, 18, 16, 16];
/** Nodes for the search of one neighbourhood. */
const NEIGHBOURHOOD_NODES = 20_000;
/** Rounds without a gain, each with other samples of shards, after which a placement counts as cheap. */
const PATIENCE = 12;

/** A working placement, kept in step with what is derived from it. */
class Working {
  readonly problem: Problem;
  readonly at: Placement;
  readonly loads: Float64Array;
  /** The shards of each island, heaviest first. */
  readonly shards: number[][];
  /** Nodes that may still be visited. */
  nodes: number;

  constructor(problem: Problem, at: Placement, nodes: number) {
    this.problem = problem;
    this.at = Int32Array.from(at);
    this.loads = loadsOf(problem, at);
    this.shards = shardsByIsland(problem, at);
    this.nodes = nodes;
  }

  get difference(): number {
    return differenceOf(this.loads, this.problem.outside);
  }

  move(shard: number, to: number): void {
    const from = this.at[shard]!;
    if (from === to) return;
    const [leaves, joins] = [this.shards[from]!, this.shards[to]!];
    leaves.splice(lowerBound(leaves, shard), 1);
    joins.splice(lowerBound(joins, shard), 0, shard);
    this.at[shard] = to;
    this.loads[from]! -= this.problem.weight[shard]!;
    this.loads[to]! += this.problem.weight[shard]!;
  }
}

/** Index of the first value that is not smaller. */
function lowerBound(sorted: number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Brings heaviest − lightest down to the target, cheaply if possible, or as far down as the search gets. */
export function bringDown(problem: Problem, start: Placement, target: number, nodes: number): Placement {
  const work = new Working(problem, start, nodes);
  for (let round = 0; work.nodes > 0 && work.difference > target; round++) {
    if (!improveSomewhere(work, target, round)) break;
  }
  return work.at;
}

function improveSomewhere(work: Working, target: number, round: number): boolean {
  const heavy = indexOfMax(work.loads);
  const light = indexOfMin(work.loads);
  const others = Array.from(work.loads.keys()).filter((island) => island !== heavy && island !== light);
  const byLoad = others.sort((a, b) => work.loads[a]! - work.loads[b]! || a - b);
  const groups = [
    [heavy, light],
    ...byLoad.map((other) => [heavy, other]),
    ...byLoad.toReversed().map((other) => [other, light]),
    ...byLoad.map((other) => [heavy, light, other]),
  ];
  return groups.some((group) => work.nodes > 0 && improveGroup(work, group, target, round));
}

/**
 * Makes a few islands more even: down to the target if possible, otherwise nearly as even as possible, cheaply.
 */
function improveGroup(work: Working, group: number[], target: number, round: number): boolean {
  const hood = neighbourhood(work, group, round);
  const mean = meanLoad(work.problem);
  const now = differenceOf(hood.loads);
  if (now <= target) return false;
  const inWindow = { ...hood.problem, outside: { heaviest: mean, lightest: mean } };
  const cheap = spend(work, inWindow, { minimize: "cost", maxDifference: target, maxCost: Infinity });
  if (cheap) return hood.accept(cheap, true);
  const alone = { ...hood.problem, outside: NOTHING_OUTSIDE };
  const even = spend(work, alone, { minimize: "difference", maxDifference: now, maxCost: Infinity });
  if (!even) return false;
  const reached = differenceOf(loadsOf(alone, even));
  const maxDifference = reached + 0.05 * (now - reached);
  const cheaper = spend(work, alone, { minimize: "cost", maxDifference, maxCost: costOf(alone, even) });
  return hood.accept(cheaper ?? even, true);
}

/** Makes a placement cheaper without letting heaviest − lightest grow beyond the limit. */
export function cheapen(problem: Problem, start: Placement, maxDifference: number, nodes: number): Placement {
  const work = new Working(problem, start, nodes);
  let cost = costOf(problem, start);
  for (let round = 0, idle = 0; work.nodes > 0 && idle < PATIENCE; round++) {
    sendHome(work, maxDifference);
    for (const shard of movedShards(work)) {
      if (work.nodes <= 0) break;
      if (costAt(problem, shard, work.at[shard]!) > 0) cheapenAround(work, shard, maxDifference, round);
    }
    const now = costOf(problem, work.at);
    idle = now < cost ? 0 : idle + 1;
    cost = now;
  }
  sendHome(work, maxDifference);
  return work.at;
}

/** Undoes every move that is not needed, the most expensive first; each can make another one unnecessary. */
function sendHome(work: Working, maxDifference: number): void {
  for (let undone = true; undone;) {
    undone = false;
    for (const shard of movedShards(work)) {
      const away = work.at[shard]!;
      work.move(shard, work.problem.home[shard]!);
      if (work.difference <= maxDifference) undone = true;
      else work.move(shard, away);
    }
  }
}

function movedShards({ problem, at }: Working): number[] {
  const moved: number[] = [];
  for (let shard = 0; shard < at.length; shard++)
    if (costAt(problem, shard, at[shard]!) > 0) moved.push(shard);
  return moved.sort((a, b) => problem.cost[b]! - problem.cost[a]! || a - b);
}

/**
 * Looks for a cheaper arrangement of the two islands of a move, alone, with one other and with two others.
 */
function cheapenAround(work: Working, shard: number, maxDifference: number, round: number): void {
  const pair = [work.at[shard]!, work.problem.home[shard]!];
  const others = Array.from(work.loads.keys()).filter((island) => !pair.includes(island));
  const pick = (stride: number): number => others[(shard + round * stride) % others.length]!;
  const groups = [pair];
  if (others.length > 0) groups.push([...pair, pick(1)]);
  if (others.length > 1 && pick(1) !== pick(3)) groups.push([...pair, pick(1), pick(3)]);
  for (const group of groups) {
    const hood = neighbourhood(work, group, round, shard);
    const maxCost = costOf(hood.problem, hood.at);
    const cheaper = spend(work, hood.problem, { minimize: "cost", maxDifference, maxCost });
    if (cheaper && hood.accept(cheaper, false)) return;
  }
}

function spend(work: Working, problem: Problem, goal: Omit<Parameters<typeof branchAndBound>[1], "nodes">) {
  const found = branchAndBound(problem, { ...goal, nodes: Math.min(NEIGHBOURHOOD_NODES, work.nodes) });
  work.nodes -= found.nodes;
  return found.at;
}

interface Neighbourhood {
  problem: Problem;
  at: Placement;
  loads: Float64Array;
  /** Applies a placement to the whole; with `evener`, only if that makes the whole more even. */
  accept(at: Placement, evener: boolean): boolean;
}

/** Picks shards of some islands, and returns the problem that remains if nothing else may move. */
function neighbourhood(work: Working, group: number[], round: number, focus?: number): Neighbourhood {
  const free = pickShards(work, group, round, focus);
  const { weight, cost, home } = work.problem;
  const indexOf = new Map(group.map((island, i) => [island, i]));
  const problem: Problem = {
    islands: group.length,
    weight: Float64Array.from(free, (shard) => weight[shard]!),
    cost: Float64Array.from(free, (shard) => cost[shard]!),
    home: Int32Array.from(free, (shard) => indexOf.get(home[shard]!) ?? HOMELESS),
    base: Float64Array.from(group, (island) => work.loads[island]!),
    outside: group.length === work.loads.length ? work.problem.outside : outsideOf(work, group),
  };
  const at = Int32Array.from(free, (shard) => indexOf.get(work.at[shard]!)!);
  at.forEach((island, i) => (problem.base[island]! -= problem.weight[i]!));
  const accept = (next: Placement, evener: boolean): boolean => {
    if (evener && unevenness(loadsOf(problem, next)) >= unevenness(loadsOf(problem, at)) * (1 - 1e-12))
      return false;
    next.forEach((island, i) => work.move(free[i]!, group[island]!));
    return true;
  };
  return { problem, at, loads: loadsOf(problem, at), accept };
}

function outsideOf(work: Working, group: number[]): Problem["outside"] {
  const outside: Problem["outside"] = { ...NOTHING_OUTSIDE };
  outside.heaviest = work.problem.outside.heaviest;
  outside.lightest = work.problem.outside.lightest;
  for (let island = 0; island < work.loads.length; island++) {
    if (group.includes(island)) continue;
    outside.heaviest = Math.max(outside.heaviest, work.loads[island]!);
    outside.lightest = Math.min(outside.lightest, work.loads[island]!);
  }
  return outside;
}

/** The sum of squares: for a given total, the smaller the more even. */
function unevenness(loads: Float64Array): number {
  return loads.reduce((total, load) => total + load * load, 0);
}

/**
 * Picks the shards that may change places: the focus, some that are away from home (they cost nothing extra),
 * then a sample of all sizes from each island, a different one in each round.
 */
function pickShards(work: Working, group: number[], round: number, focus?: number): number[] {
  const limit = FREE_SHARDS[group.length]!;
  const picked = new Set<number>(focus === undefined ? [] : [focus]);
  const share = Math.ceil(limit / group.length);
  for (const island of group) {
    const list = work.shards[island]!;
    const away = list.filter((shard) => costAt(work.problem, shard, island) > 0);
    for (const shard of sample(away, Math.ceil(share / 2), round)) picked.add(shard);
    for (const shard of sample(list, share, round)) picked.add(shard);
  }
  return [...picked].slice(0, limit).sort((a, b) => a - b);
}

/** Takes `count` items of a list at equal distances, with a different beginning in each round. */
function sample(list: number[], count: number, round: number): number[] {
  if (list.length <= count) return list;
  const stride = list.length / count;
  return Array.from(
    { length: count },
    (_, i) => list[Math.floor(i * stride + ((round * 0.618) % 1) * stride)]!,
  );
}
