/**
 * The order in which a plan's moves run. Pure and free of imports that do anything, so that a workflow may
 * use it.
 *
 * A move loads both of its islands. Whenever a lane is free, the move starts whose islands are least busy
 * and, of those, the one on the island with most work left: list scheduling by the critical resource, which
 * keeps the busiest island from being left for last.
 */
import type { IslandName } from "../../workflows/contract.ts";

/** What the order of moves depends on. */
export interface Movable {
  from: IslandName;
  to: IslandName;
  bytes: number;
}

export interface MoveLimits {
  /** Moves at a time in all. */
  parallelism: number;
  /**
   * Moves at a time that one island is an end of; left out, islands are kept as evenly busy as the moves
   * allow.
   */
  perIsland?: number;
}

/** Bytes copied in the time that a move of an empty shard takes: slot, subscription, switch. */
const BYTES_OF_AN_EMPTY_MOVE = 32 * 1024 * 1024;

/** Moves between the same two islands, the largest first. */
type Route<Move> = Move[];

/** Returns the move to start next, or null if the limits allow none now. */
export function nextMove<Move extends Movable>(
  pending: readonly Move[],
  running: readonly Movable[],
  limits: MoveLimits,
): Move | null {
  const routes = groupByRoute(pending);
  return pickRoute(routes, workPerIsland([...pending, ...running]), running, limits)?.[0] ?? null;
}

export interface Lanes<Move> {
  /** For each lane its moves, in the order they start if a move takes as long as its bytes say. */
  lanes: Move[][];
  /** Bytes that pass until the last move ends, over bytes if all lanes were busy all the time; 1 is ideal. */
  stretch: number;
}

/**
 * Foresees which moves run after one another: what `nextMove` leads to when each move takes as long as its
 * size.
 */
export function scheduleMoves<Move extends Movable>(moves: readonly Move[], limits: MoveLimits): Lanes<Move> {
  const count = Math.max(1, Math.min(limits.parallelism, moves.length));
  const lanes = Array.from({ length: count }, () => [] as Move[]);
  const routes = groupByRoute(moves);
  const work = workPerIsland(moves);
  let running: { move: Move; lane: number; end: number }[] = [];
  let now = 0;
  for (let started = 0; started < moves.length || running.length > 0;) {
    const route = pickRoute(
      routes,
      work,
      running.map(({ move }) => move),
      limits,
    );
    if (route) {
      const move = route.shift()!;
      const lane = lanes.findIndex((_, i) => !running.some((other) => other.lane === i));
      lanes[lane]!.push(move);
      running.push({ move, lane, end: now + effort(move) });
      started++;
      continue;
    }
    if (running.length === 0) break;
    now = Math.min(...running.map(({ end }) => end));
    for (const { move } of running.filter(({ end }) => end <= now)) addWork(work, move, -effort(move));
    running = running.filter(({ end }) => end > now);
  }
  const ideal = moves.reduce((total, move) => total + effort(move), 0) / count;
  return { lanes, stretch: ideal === 0 ? 1 : now / ideal };
}

function groupByRoute<Move extends Movable>(moves: readonly Move[]): Route<Move>[] {
  const routes = new Map<string, Route<Move>>();
  for (const move of moves) {
    const key = JSON.stringify([move.from, move.to]);
    const route = routes.get(key);
    if (route) route.push(move);
    else routes.set(key, [move]);
  }
  // The sort is stable: of equals the first one in the plan goes first.
  return [...routes.values()].map((route) => route.sort((a, b) => b.bytes - a.bytes));
}

function pickRoute<Move extends Movable>(
  routes: Route<Move>[],
  work: Map<IslandName, number>,
  running: readonly Movable[],
  { parallelism, perIsland = Infinity }: MoveLimits,
): Route<Move> | null {
  if (running.length >= parallelism) return null;
  const busy = new Map<IslandName, number>();
  for (const { from, to } of running)
    for (const island of [from, to]) busy.set(island, (busy.get(island) ?? 0) + 1);
  let best: Route<Move> | null = null;
  let bestRank: Rank | null = null;
  for (const route of routes) {
    const [move] = route;
    if (!move) continue;
    const [busyFrom, busyTo] = [busy.get(move.from) ?? 0, busy.get(move.to) ?? 0];
    const busiest = Math.max(busyFrom, busyTo);
    if (busiest >= perIsland || (bestRank && busiest > bestRank.busiest)) continue;
    const [workFrom, workTo] = [work.get(move.from) ?? 0, work.get(move.to) ?? 0];
    const [mostWork, leastWork] = [Math.max(workFrom, workTo), Math.min(workFrom, workTo)];
    const rank = { busiest, busy: busyFrom + busyTo, mostWork, leastWork, bytes: move.bytes };
    if (!bestRank || comesBefore(rank, bestRank)) [best, bestRank] = [route, rank];
  }
  return best;
}

/** What a move is chosen by, the first first. */
interface Rank {
  /** Running moves of the busier of its islands. */
  busiest: number;
  /** Running moves of both its islands. */
  busy: number;
  /** Work left for that of its islands which has more. */
  mostWork: number;
  leastWork: number;
  bytes: number;
}

function comesBefore(a: Rank, b: Rank): boolean {
  const order =
    a.busiest - b.busiest ||
    a.busy - b.busy ||
    b.mostWork - a.mostWork ||
    b.leastWork - a.leastWork ||
    b.bytes - a.bytes;
  return order < 0;
}

function workPerIsland(moves: readonly Movable[]): Map<IslandName, number> {
  const work = new Map<IslandName, number>();
  for (const move of moves) addWork(work, move, effort(move));
  return work;
}

function addWork(work: Map<IslandName, number>, { from, to }: Movable, amount: number): void {
  for (const island of [from, to]) work.set(island, (work.get(island) ?? 0) + amount);
}

function effort({ bytes }: Movable): number {
  return bytes + BYTES_OF_AN_EMPTY_MOVE;
}
