import type { IslandName } from "./names.ts";

/** Replication lag of one physical replica, or of the move's subscription. */
export interface ReplicaLag {
  island: IslandName;
  replica: string;
  seconds: number;
}

/**
 * For how long a switch has kept writers waiting. An attempt counts from the request for the lock, behind which writers
 * queue at once, until they can write again, whether it led to the switch or not.
 */
export interface WriteBlock {
  attempts: number;
  longestMs: number;
  totalMs: number;
  /** True when the end of an attempt was not seen, because a worker or a connection died: then these are upper bounds. */
  atMost: boolean;
}

/** A session that was in the way of the locks of a switch. */
export interface InTheWay {
  /** Its pid, role and application, on which island, and for how long its transaction had been open. */
  who: string;
  /** Its statement, shortened and without passwords; null for a prepared transaction. */
  statement: string | null;
}

/** The same while the switch is being tried. */
export interface BlockedSoFar extends WriteBlock {
  /** When the attempt that is under way requested its lock, in milliseconds since the epoch. */
  since?: number | undefined;
  /** What attempts of the last ten minutes have cost, by the minute of their end. */
  recent?: [minute: number, ms: number][];
  /** Sessions that blocked the switch and were cancelled or terminated for it; the last few. */
  endedBlockers?: string[];
  /** Transactions that block it, and since when, in milliseconds since the epoch. */
  blockers?: Record<string, number>;
  /** Who has been in the way; the last few. */
  inTheWay?: InTheWay[];
}

/** How far a whole move has come. The percentage never falls; it is 100 only at the end. */
export interface Reached {
  percent: number;
  /** By this move's own pace; missing while that is not known, as during a wait. */
  secondsLeft?: number | undefined;
  rows?: number | undefined;
  /** Bytes of the COPY streams. */
  copiedBytes?: number | undefined;
}

/** What a step tells its workflow from time to time while it runs, by a signal. */
export interface Noticed {
  reached?: Reached;
  walKeptBytes?: number;
}

/** How far a comparison has come, so that the next attempt continues there. */
export interface VerifyState {
  /** How many tables there are to compare. */
  tables: number;
  /** Which of them are done: bits, in base64. */
  done: string;
  /** Rows of these. */
  rows: number;
  /** Tables that are being compared: up to which key, and how many rows. */
  open: [table: string, after: readonly string[], rows: number][];
}

/** Live numbers of the running step, sent as heartbeat details. Always small (< 2 kB). */
export interface StepProgress {
  /** What is happening, in one line. */
  note?: string;
  /** Why it is waiting: who blocks it, which replica lags, which worker is missing. */
  waitingFor?: string | undefined;
  /** The running SQL, shortened. */
  sql?: string | undefined;
  tuples?: number;
  /** The planner's estimate; missing when there are more than that. */
  tuplesTotal?: number | undefined;
  /** Bytes of the COPY streams. */
  bytes?: number;
  bytesPerSec?: number | undefined;
  /** Percentage of this step that is done. */
  percent?: number;
  /** Until the end of the whole move, as in `reached`. */
  secondsLeft?: number | undefined;
  /** How far the whole move has come. */
  reached?: Reached;
  /** Bytes of WAL that the source keeps for the move. */
  walKeptBytes?: number;
  /** Bytes of WAL that the old copy of a way back is behind. */
  lagBytes?: number | undefined;
  lags?: ReplicaLag[];
  /** What the switch has cost the writers so far. */
  blocked?: BlockedSoFar;
  /** How far the comparison of the rows has come. */
  verified?: VerifyState;
  /** How often a statement of a migration has broken its session, by its place. */
  broken?: Record<string, number>;
  /** How often an error that may pass has occurred, by its text. */
  failed?: Record<string, number>;
  /** The highest percentage that any attempt has reached, and what it was when an error was last counted. */
  furthest?: number;
  failedAt?: number;
}

export type MovePhase = "running" | "paused" | "aborting" | "done" | "failed" | "aborted";

/** What a step did, for the story of the move: a summary in one line, and its SQL, shortened. */
export interface StepReport {
  text: string;
  sql?: string[];
}
