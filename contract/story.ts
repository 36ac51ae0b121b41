import type { MigrateStepName } from "./migrate.ts";
import { type STEPS } from "./move.ts";
import type { IslandName } from "./names.ts";
import type { MovePhase, WriteBlock } from "./progress.ts";

export type StepName = (typeof STEPS)[number] | MigrateStepName;

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
  /** Percentage of the steps that are done, 0-100. */
  percent: number;
  startedAt: number;
  waitingFor: string | null;
  /** What the switch has cost the writers, once it is done; missing for what has none. */
  writeBlocked?: WriteBlock;
  events: ProgressEvent[];
}
