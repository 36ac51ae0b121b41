/** The part of the contract that is about a rebalance: its input, what it hands on, and what it shows. */

import type { MoveSwitches } from "./move.ts";
import type { IslandName } from "./names.ts";
import type { MovePhase } from "./progress.ts";

/** A server's room for moves, by its settings; the islands are its databases. */
export interface Room {
  islands: readonly IslandName[];
  /** Moves at a time that may leave: slots, walsenders and connections. */
  leaving: number;
  /** Moves at a time that may arrive: logical replication workers, origins and connections. */
  arriving: number;
}

/**
 * A move as a rebalance keeps it: ten thousand of them must fit into one payload (2 MB), so islands are places in
 * a list of names, and what every move shares is said once.
 */
export interface RebalanceItem {
  schema: string;
  shard: number;
  from: number;
  to: number;
  bytes: number;
}

/** A move that was made; as small as it can be, since there may be ten thousand of them in one payload. */
export interface DoneItem extends Pick<RebalanceItem, "schema" | "from" | "to"> {
  runId: string;
  rows: number;
  /** Bytes that were copied. */
  copied: number;
  durationMs: number;
  writeBlockedMs: number;
}

/** A move that did not come about, as it is kept: see DoneItem. */
export interface FailedItem extends Pick<RebalanceItem, "schema" | "from" | "to"> {
  reason: string;
}

export interface RebalanceInput {
  islands: IslandName[];
  switches: MoveSwitches;
  /** Moves at a time in all. */
  parallelism: number;
  /** Moves at a time that one island is an end of; null leaves it to the balance. */
  perIsland: number | null;
  rooms: Room[];
  pending: RebalanceItem[];
  /** Moves of the plan that did not fit, for the result. */
  remaining?: number;
  /** Events of the history after which the workflow continues as new; null leaves it to Temporal. */
  maxEvents: number | null;
  /** What the run before hands on when the workflow continues as new. */
  before?: RebalanceState;
}

/** A move that has begun. */
export interface RunningItem extends RebalanceItem {
  runId: string;
  startedAt: number;
}

/** What a rebalance has done so far, and what runs. */
export interface RebalanceState {
  startedAt: number;
  running: RunningItem[];
  done: DoneItem[];
  failed: FailedItem[];
  /** Planned bytes of the moves that are done, and what they cost. */
  bytesDone: number;
  effortDone: number;
  events: RebalanceEvent[];
  /** Since when it is paused; null when it is not. */
  pausedSince?: number | null;
  /** Milliseconds of pauses that have ended. */
  pausedMs?: number;
}

/** The workflow's own result; `RebalanceResult` is what it is turned into for people and programs. */
export interface RebalanceOutcome {
  islands: IslandName[];
  activated: boolean;
  done: DoneItem[];
  failed: FailedItem[];
  remaining?: number;
}

/** A move of a rebalance that did not come about, and why. */
export interface FailedMove {
  schema: string;
  from: IslandName;
  to: IslandName;
  reason: string;
}

/** One line of a rebalance's story. `at` is milliseconds since the epoch. */
export interface RebalanceEvent {
  at: number;
  text: string;
  /** Set for the begin of a move, which is no news where all that run are shown. */
  begins?: true;
}

/** A move of a rebalance that is under way. */
export interface RunningMove {
  workflowId: string;
  schema: string;
  from: IslandName;
  to: IslandName;
  bytes: number;
  startedAt: number;
}

/** Answer of the query `progress` of a rebalance. */
export interface RebalanceProgress {
  workflowId: string;
  phase: MovePhase;
  /** Always "moves": a rebalance has no other step. */
  step: string;
  /** Share of the work that is done, 0-100, by bytes and a fixed part for each move. */
  percent: number;
  startedAt: number;
  /** Since when no more moves are started; null when it is not paused. */
  pausedSince: number | null;
  /** Milliseconds of pauses that have ended. */
  pausedMs: number;
  waitingFor: string | null;
  events: RebalanceEvent[];
  /** Numbers of moves. */
  total: number;
  done: number;
  failed: number;
  /** Bytes of all moves, and of those that are done. */
  bytes: number;
  bytesDone: number;
  running: RunningMove[];
  /** The last hundred failures. */
  failures: FailedMove[];
}
