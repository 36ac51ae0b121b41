/** The contract of a rebalance: its input, the state that it passes on to its next run, and its progress. */

import type { MoveSwitches } from "./move.ts";
import type { IslandName } from "./names.ts";
import type { MovePhase } from "./progress.ts";

/** A server's capacity for moves, by its settings; the islands are its databases. */
export interface Room {
  islands: readonly IslandName[];
  /** How many concurrent moves may leave: slots, walsenders and connections. */
  leaving: number;
  /** How many concurrent moves may arrive: logical replication workers, origins and connections. */
  arriving: number;
}

/**
 * A move, in compact form: ten thousand of them must fit into one payload (2 MB), so islands are indexes into a list of
 * names, and what all moves have in common is stored once.
 */
export interface RebalanceItem {
  schema: string;
  shard: number;
  from: number;
  to: number;
  bytes: number;
}

/** A completed move, as small as possible, because one payload may have ten thousand of them. */
export interface DoneItem extends Pick<RebalanceItem, "schema" | "from" | "to"> {
  runId: string;
  rows: number;
  /** Bytes that were copied. */
  copied: number;
  durationMs: number;
  writeBlockedMs: number;
  /** Attempts of the switch, the sum of their times, and 1 when these are upper bounds; missing for one exact attempt. */
  blocked?: [attempts: number, totalMs: number, atMost: 0 | 1];
  /** What was compared before the switch; missing if nothing was. */
  verified?: [tables: number, rows: number];
  /** Sessions that were ended because they blocked its switch. */
  ended?: string[];
  /** The most WAL that the source has kept for it; only where that was noticed. */
  wal?: number;
}

/** A failed move, in compact form like DoneItem. */
export interface FailedItem extends Pick<RebalanceItem, "schema" | "from" | "to"> {
  reason: string;
}

export interface RebalanceInput {
  islands: IslandName[];
  switches: MoveSwitches;
  /** Number of concurrent moves in total. */
  parallelism: number;
  /** Number of concurrent moves from or to one island; null leaves it to the scheduler. */
  perIsland: number | null;
  rooms: Room[];
  pending: RebalanceItem[];
  /** Number of moves of the plan that did not fit, for the result. */
  remaining?: number;
  /** Number of history events after which the workflow continues as new; null leaves it to Temporal. */
  maxEvents: number | null;
  /** Who has started it, as user@host, for the history. */
  startedBy?: string | undefined;
  /** The state that the previous run passes on when the workflow continues as new. */
  before?: RebalanceState;
}

/** A move that has started. */
export interface RunningItem extends RebalanceItem {
  runId: string;
  startedAt: number;
  /** The percentage it last reported. */
  percent?: number | undefined;
}

/** What a rebalance has done so far, and what is running. */
export interface RebalanceState {
  startedAt: number;
  running: RunningItem[];
  done: DoneItem[];
  failed: FailedItem[];
  /** Planned bytes of the completed moves, and their cost. */
  bytesDone: number;
  effortDone: number;
  /** The highest percentage that was reached; a move that fails takes nothing back. */
  percent?: number;
  events: RebalanceEvent[];
  /** When it was paused; null if it is not paused. */
  pausedSince?: number | null;
  /** Milliseconds of pauses that have ended. */
  pausedMs?: number;
}

/** Islands are numbers, as in the input, only where there are too many moves for names. */
export type Named<Item> = Omit<Item, "from" | "to"> & { from: IslandName | number; to: IslandName | number };

/** The workflow's own result; people and programs get it as a `RebalanceResult`. */
export interface RebalanceOutcome {
  islands: IslandName[];
  activated: boolean;
  done: Named<DoneItem>[];
  failed: Named<FailedItem>[];
  remaining?: number;
}

/** A failed move of a rebalance, and why it failed. */
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
  /** Set for the start of a move, which is no news if all running moves are shown. */
  begins?: true;
}

/** A running move of a rebalance. */
export interface RunningMove {
  workflowId: string;
  schema: string;
  from: IslandName;
  to: IslandName;
  bytes: number;
  startedAt: number;
  /** The percentage it last reported. */
  percent?: number | undefined;
}

/** What a move of a rebalance reports from time to time. */
export interface MoveNoticed {
  schema: string;
  percent: number;
}

/** The answer to the query `progress` of a rebalance. */
export interface RebalanceProgress {
  workflowId: string;
  phase: MovePhase;
  /** Always "moves": a rebalance has no other step. */
  step: string;
  /** Percentage of the work that is done, 0-100, by bytes and a fixed part for each move, including running moves. It never falls. */
  percent: number;
  /** All work, and that of the completed moves; missing in workflows of an earlier version. */
  effort?: number;
  effortDone?: number;
  startedAt: number;
  /** When it was paused, so that no more moves start; null if it is not paused. */
  pausedSince: number | null;
  /** Milliseconds of pauses that have ended. */
  pausedMs: number;
  waitingFor: string | null;
  events: RebalanceEvent[];
  /** Numbers of moves. */
  total: number;
  done: number;
  failed: number;
  /** Bytes of all moves, and of the completed ones. */
  bytes: number;
  bytesDone: number;
  running: RunningMove[];
  /** The last hundred failures. */
  failures: FailedMove[];
}
