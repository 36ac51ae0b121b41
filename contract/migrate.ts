/**
 * The contract of `migrate`: one schema change in many shards, as one distributed transaction. Like contract.ts, to
 * which it belongs, it is free of Node, pg and zod.
 */
import type { IslandName } from "./names.ts";
import type { StepReport } from "./progress.ts";

/** The steps of a migration that changes all shards or none, and of one that changes each shard by itself. */
export const MIGRATE_STEPS = {
  all: ["lease shards", "prepare everywhere", "commit everywhere", "release shards"],
  each: ["lease shards", "change each shard", "release shards"],
} as const;
export type MigrateMode = keyof typeof MIGRATE_STEPS;
export type MigrateStepName = (typeof MIGRATE_STEPS)[MigrateMode][number];

/** Shards by their numbers; null means all active ones. */
export type ShardNumbers = [first: number, last: number][] | null;

export interface MigrateInput {
  /** By this name the shards remember the migration. */
  name: string;
  /** SHA-256 of the SQL, hexadecimal. */
  hash: string;
  sql: string;
  /** What the SQL is called in messages: the file's name. */
  source: string;
  /** All islands that may have one of the shards. */
  islands: IslandName[];
  shards: ShardNumbers;
  mode: MigrateMode;
  /** Shards of an island in one transaction; null: all of them. */
  batch: number | null;
  /** Runs everything, and rolls it back. */
  dryRun: boolean;
  /** Milliseconds that one statement may wait for a lock, while the application queues behind it. */
  lockTimeoutMs: number;
  /** Seconds in which one transaction over all islands has to be prepared, with all its tries. */
  deadlineSec: number;
}

/** Shards of one island that lack the migration. */
export interface IslandShards {
  island: IslandName;
  schemas: string[];
}

/** Shards that were found and are leased. */
export interface LeasedShards extends StepReport {
  islands: (IslandShards & { skipped: number })[];
}

export interface ChangeInput {
  migration: MigrateInput;
  /** Which of the transactions of a migration in batches this is, from 0. */
  round: number;
  islands: IslandShards[];
}

/** A transaction that was prepared on an island. */
export interface PreparedTransaction {
  island: IslandName;
  gid: string;
  /** One of its shards, whose book tells after a crash whether it was committed. */
  witness: string;
}

export interface PreparedReport extends StepReport {
  prepared: PreparedTransaction[];
  /** When the first lock was taken, in milliseconds since the epoch. */
  lockedAt: number;
}

export interface DecisionInput {
  name: string;
  round: number;
  prepared: PreparedTransaction[];
}

export interface CommittedReport extends StepReport {
  committedAt: number;
}

/** What a migration has done on an island: numbers of shards. */
export interface IslandChanges {
  island: IslandName;
  applied: number;
  /** Those that had the migration before. */
  skipped: number;
}

export interface MigrateResult {
  workflowId: string;
  runId: string;
  name: string;
  hash: string;
  mode: MigrateMode;
  dryRun: boolean;
  islands: IslandChanges[];
  applied: number;
  skipped: number;
  durationMs: number;
  /** Milliseconds from the first lock to the last commit, of the longest transaction. */
  lockedMs: number;
}

/** The activities of a migration, under the names by which they stand in the history. All are idempotent. */
export interface MigrateActivities {
  "lease shards"(input: MigrateInput): Promise<LeasedShards>;
  "prepare everywhere"(input: ChangeInput): Promise<PreparedReport>;
  "commit everywhere"(input: DecisionInput): Promise<CommittedReport>;
  /** Rolls back whatever this run may have prepared; never what has been committed. */
  "roll back everywhere"(input: { islands: IslandName[] }): Promise<StepReport>;
  "change each shard"(input: ChangeInput): Promise<StepReport>;
  "release shards"(input: { islands: IslandName[]; refreshViews: boolean }): Promise<StepReport>;
}
