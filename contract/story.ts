import type { MigrateStepName } from "./migrate.ts";
import { type STEPS } from "./move.ts";
import type { IslandName } from "./names.ts";
import type { MovePhase, WriteBlock } from "./progress.ts";
import type { WayBackStepName } from "./way-back.ts";

export type StepName = (typeof STEPS)[number] | MigrateStepName | WayBackStepName;

/** One line of a move's story: a finished step, a wait, a retry. `at` is milliseconds since the epoch. */
export interface ProgressEvent {
  at: number;
  step: StepName;
  text: string;
  sql?: string[];
}

/** The answer to the query `progress`. */
export interface Progress {
  workflowId: string;
  /** For a migration, this and both islands are empty, because it concerns many. */
  schema: string;
  from: IslandName;
  to: IslandName;
  phase: MovePhase;
  /** The names of all its steps, in order. */
  steps: readonly StepName[];
  step: StepName;
  /** Percentage of the work that is done, 0-100; for a migration, of the steps. It never falls. */
  percent: number;
  startedAt: number;
  waitingFor: string | null;
  /** What the switch has cost the writers, once it is done; missing for what has none. */
  writeBlocked?: WriteBlock;
  /** Rows are not the same on both sides: the move stands still until it is aborted, or told to compare them again. */
  differs?: { at: number; text: string };
  events: ProgressEvent[];
  /** What the shard takes on the source's disk; missing until that is known. */
  sizeBytes?: number;
  /** The planner's estimate of its rows. */
  rowsTotal?: number;
  rows?: number | undefined;
  /** Bytes of the COPY streams. */
  copiedBytes?: number | undefined;
  /** By the pace of this move; as of the last report of a step. */
  secondsLeft?: number | undefined;
  /** The most WAL that the source has kept for it, as far as that was noticed. */
  walKeptBytes?: number;
  /** When a way back ends by itself, in milliseconds since the epoch. */
  expiresAt?: number;
}
