/**
 * The order in which the moves of a rebalance run. It is here, and not beside the planner, because the workflow
 * decides it as moves end, and workflows load nothing from src/.
 *
 * A move puts load on both of its islands. Whenever a lane is free, the next move is one whose islands are least busy
 * and, among those, the one on the island with the most work left: list scheduling by the critical resource, which
 * prevents the busiest island from being left for last.
 */
import type { IslandName } from "../contract/names.ts";
import type { Room } from "../contract/rebalance.ts";
import { effortOf } from "./work.ts";

/** What the order of moves depends on. */
export interface Movable {
  from: IslandName;
  to: IslandName;
  bytes: number;
}

export interface MoveLimits {
  /** Moves at a time in total. */
  parallelism: number;
  /**
   * Moves at a time that leave or reach one island; if omitted, islands are kept as evenly busy as the moves
   * allow.
   */
  perIsland?: number | undefined;
  /** How many moves the servers have room for. */
  rooms?: readonly Room[];
}

/** Moves between the same two islands, the largest first. */
type Route<Move> = Move[];

/** Moves that have begun on the islands of one server. */
interface Usage {
  room: Room;
  leaving: number;
  arriving: number;
}

/** The moves that have yet to start, those that are running, and which comes next. */
export class Schedule<Move extends Movable> {
  readonly #limits: MoveLimits;
  readonly #routes: Route<Move>[];
  /** Work left on each island. */
  readonly #work = new Map<IslandName, number>();
  /** Running moves that leave or reach an island. */
  readonly #busy = new Map<IslandName, number>();
  readonly #usage = new Map<IslandName, Usage>();
  #running = 0;

  constructor(pending: readonly Move[], running: readonly Movable[], limits: MoveLimits) {
    this.#limits = limits;
    this.#routes = groupByRoute(pending);
    for (const room of limits.rooms ?? []) {
      const usage: Usage = { room, leaving: 0, arriving: 0 };
      for (const island of room.islands) this.#usage.set(island, usage);
    }
    for (const move of pending) this.#addWork(move, effortOf(move));
    for (const move of running) {
      this.#addWork(move, effortOf(move));
      this.#occupy(move, 1);
    }
  }

  /** The moves that have not been taken yet. */
  get pending(): Move[] {
    return this.#routes.flat();
  }

  /** Takes the move to start next; null if the limits allow none at the moment, or none is left. */
  take(): Move | null {
    const move = this.#pickRoute()?.shift();
    if (!move) return null;
    this.#occupy(move, 1);
    return move;
  }

  /** Frees the place of a move that was taken and has ended. */
  ended(move: Movable): void {
    this.#occupy(move, -1);
    this.#addWork(move, -effortOf(move));
  }

  #pickRoute(): Route<Move> | null {
    const { parallelism, perIsland = Infinity } = this.#limits;
    if (this.#running >= parallelism) return null;
    let best: Route<Move> | null = null;
    let bestRank: Rank | null = null;
    for (const route of this.#routes) {
      const [move] = route;
      if (!move || !this.#hasRoom(move)) continue;
      const [busyFrom, busyTo] = [this.#busy.get(move.from) ?? 0, this.#busy.get(move.to) ?? 0];
      const busiest = Math.max(busyFrom, busyTo);
      if (busiest >= perIsland || (bestRank && busiest > bestRank.busiest)) continue;
      const [workFrom, workTo] = [this.#work.get(move.from) ?? 0, this.#work.get(move.to) ?? 0];
      const [mostWork, leastWork] = [Math.max(workFrom, workTo), Math.min(workFrom, workTo)];
      const rank = { busiest, busy: busyFrom + busyTo, mostWork, leastWork, bytes: move.bytes };
      if (!bestRank || comesBefore(rank, bestRank)) [best, bestRank] = [route, rank];
    }
    return best;
  }

  #hasRoom({ from, to }: Movable): boolean {
    const [source, destination] = [this.#usage.get(from), this.#usage.get(to)];
    // If a server has no room at all, one move is let through all the same: its preflight says what to change.
    const free = (used: number, most: number): boolean => used < Math.max(1, most);
    return (
      (!source || free(source.leaving, source.room.leaving)) &&
      (!destination || free(destination.arriving, destination.room.arriving))
    );
  }

  #occupy({ from, to }: Movable, by: 1 | -1): void {
    this.#running += by;
    for (const island of [from, to]) this.#busy.set(island, (this.#busy.get(island) ?? 0) + by);
    const [source, destination] = [this.#usage.get(from), this.#usage.get(to)];
    if (source) source.leaving += by;
    if (destination) destination.arriving += by;
  }

  #addWork({ from, to }: Movable, amount: number): void {
    for (const island of [from, to]) this.#work.set(island, (this.#work.get(island) ?? 0) + amount);
  }
}

function groupByRoute<Move extends Movable>(moves: readonly Move[]): Route<Move>[] {
  const routes = new Map<string, Route<Move>>();
  for (const move of moves) {
    const key = JSON.stringify([move.from, move.to]);
    const route = routes.get(key);
    if (route) route.push(move);
    else routes.set(key, [move]);
  }
  // The sort is stable: among equals, the first one in the plan goes first.
  return [...routes.values()].map((route) => route.sort((a, b) => b.bytes - a.bytes));
}

/** The criteria for choosing a move, the most important first. */
interface Rank {
  /** Running moves of the busier one of its islands. */
  busiest: number;
  /** Running moves of both its islands. */
  busy: number;
  /** Work left for the one of its islands that has more. */
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
