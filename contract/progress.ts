import type { IslandName } from "./names.ts";

/** Replication lag of one physical replica, or of the move's subscription. */
export interface ReplicaLag {
  island: IslandName;
  replica: string;
  seconds: number;
}

/** Live numbers of the running step, sent as heartbeat details; always small (< 2 kB). */
export interface StepProgress {
  /** What is happening, in one line. */
  note?: string;
  /** Why it is waiting: who blocks it, which replica lags, which worker is missing. */
  waitingFor?: string | undefined;
  /** The running SQL, shortened. */
  sql?: string | undefined;
  tuples?: number;
  tuplesTotal?: number;
  bytes?: number;
  bytesTotal?: number;
  percent?: number;
  bytesPerSec?: number;
  secondsLeft?: number | undefined;
  lags?: ReplicaLag[];
  /** How often each statement of a migration has broken its session, by its position. */
  broken?: Record<string, number>;
  /** How often an error that may pass has come, by its text. */
  failed?: Record<string, number>;
}

export type MovePhase = "running" | "paused" | "aborting" | "done" | "failed" | "aborted";

/** What a step did, for the story of the move: a summary in one line, and its SQL, shortened. */
export interface StepReport {
  text: string;
  sql?: string[];
}
