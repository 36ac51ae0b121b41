/**
 * How a rebalance will run: how many of its moves at a time, what limits that, and how long all of them take.
 */
import type { Room } from "../../contract/rebalance.ts";
import { type Movable, type MoveLimits, Schedule } from "../../workflows/rebalance-schedule.ts";
import { plural } from "../format.ts";
import type { PlannedMove } from "./types.ts";

/** How many moves run at the same time. */
export interface Concurrency {
  /** The number that was asked for: `--parallelism`. */
  asked: number;
  /** The number that the moves and the servers allow. */
  possible: number;
  /** Why it is less, if it is. */
  because: string[];
}

/** A server's room for moves, with the settings that limit it. */
export interface LimitedRoom extends Room {
  leavingLimit: string;
  arrivingLimit: string;
}

/** Says how many moves can run at once, and why not more. */
export function concurrencyOf(
  moves: readonly PlannedMove[],
  limits: MoveLimits,
  rooms: readonly LimitedRoom[],
): Concurrency {
  const schedule = new Schedule(moves, [], limits);
  const begun = takeAll(schedule);
  const { parallelism: asked, perIsland } = limits;
  const possible = begun.length;
  if (possible >= Math.min(asked, moves.length)) return { asked, possible, because: [] };
  const because = rooms.flatMap((room) => {
    const on = (island: string): boolean => room.islands.includes(island);
    const out = begun.filter(({ from }) => on(from)).length;
    const into = begun.filter(({ to }) => on(to)).length;
    const where = room.islands.join(", ");
    return [
      ...(out >= Math.max(1, room.leaving)
        ? [`${plural(out, "move")} at a time can leave ${where} (${room.leavingLimit})`]
        : []),
      ...(into >= Math.max(1, room.arriving)
        ? [`${plural(into, "move")} at a time can reach ${where} (${room.arrivingLimit})`]
        : []),
    ];
  });
  if (perIsland !== undefined && because.length === 0) because.push(`--per-island=${perIsland}`);
  return { asked, possible, because };
}

/** Milliseconds for all moves, in the order in which a rebalance makes them; null if one is too large to tell. */
export function timeFor(
  moves: readonly PlannedMove[],
  limits: MoveLimits,
  msOf: (bytes: number) => number | null,
): number | null {
  const schedule = new Schedule(moves, [], limits);
  const running: { move: PlannedMove; ends: number }[] = [];
  for (let now = 0; ;) {
    for (const move of takeAll(schedule)) {
      const ms = msOf(move.bytes);
      if (ms === null) return null;
      running.push({ move, ends: now + ms });
    }
    running.sort((a, b) => a.ends - b.ends);
    const next = running.shift();
    if (!next) return now;
    now = next.ends;
    schedule.ended(next.move);
  }
}

function takeAll<Move extends Movable>(schedule: Schedule<Move>): Move[] {
  const taken: Move[] = [];
  for (let move; (move = schedule.take());) taken.push(move);
  return taken;
}
