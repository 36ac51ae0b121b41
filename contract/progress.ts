import type { IslandName } from "./names.ts";

/** Replication lag of one physical replica, or of the move's subscription. */
export interface ReplicaLag {
  island: IslandName;
  replica: string;
  seconds: number;
}

/** Live numbers of the running step, sent as heartbeat details. Always small (< 2 kB). */
export interface StepProgress {
  /** What is going on, in one line. */
  note?: string;
  /** Why it does not go on: who blocks, which replica lags, which worker is missing. */
  waitingFor?: string | undefined;
  /** The SQL under way, shortened. */
  sql?: string | undefined;
  tuples?: number;
  tuplesTotal?: number;
  bytes?: number;
  bytesTotal?: number;
  percent?: number;
  bytesPerSec?: number;
  secondsLeft?: number | undefined;
  lags?: ReplicaLag[];
  /** How often a statement of a migration has broken its session, by its place. */
  broken?: Record<string, number>;
}

export type MovePhase = "running" | "paused" | "aborting" | "done" | "failed" | "aborted";

/** What a step did, for the story of the move: its SQL, shortened, and one line of summary. */
export interface StepReport {
  text: string;
  sql?: string[];
}
