/**
 * The contract of `migrate`: one schema change in many shards, as one distributed transaction. Like move.ts, to which it
 * belongs, it imports neither Node, pg nor zod.
 */
import type { IslandName } from "./names.ts";
import type { StepReport } from "./progress.ts";

/** The steps of a migration that changes all shards or none, and of one that changes each shard on its own. */
export const MIGRATE_STEPS = {
  all: ["lease shards", "prepare everywhere", "commit everywhere", "release shards"],
  each: ["lease shards", "change each shard", "release shards"],
} as const;
export type MigrateMode = keyof typeof MIGRATE_STEPS;
export type MigrateStepName = (typeof MIGRATE_STEPS)[MigrateMode][number];

/** Numbers of shards; null means all active ones. */
export type ShardNumbers = [first: number, last: number][] | null;

export interface MigrateInput {
  /** The name under which the shards record the migration. */
  name: string;
  /** SHA-256 of the SQL, hexadecimal. */
  hash: string;
  sql: string;
  /** The name of the SQL in messages: that of its file. */
  source: string;
  /** All islands that may have one of the shards. */
  islands: IslandName[];
  shards: ShardNumbers;
  mode: MigrateMode;
  /** Number of shards of an island in one transaction; null means all. */
  batch: number | null;
  /** Runs everything, then rolls it back. */
  dryRun: boolean;
  /** Milliseconds that one statement may wait for a lock, while the application queues behind it. */
  lockTimeoutMs: number;
  /** Seconds within which a transaction across all islands has to be prepared, including all its attempts. */
  deadlineSec: number;
  /** Seconds that it waits for moves and workers before it begins; without a limit if absent. */
  waitSec?: number | undefined;
  /** Who has started it, as user@host, for the history. */
  startedBy?: string | undefined;
}

/** Shards of one island that lack the migration. */
export interface IslandShards {
  island: IslandName;
  schemas: string[];
}

/** Shards that have been found and leased. */
export interface LeasedShards extends StepReport {
  islands: (IslandShards & { skipped: number })[];
}

export interface ChangeInput {
  migration: MigrateInput;
  /** The number of this transaction of a migration in batches, from 0. */
  round: number;
  islands: IslandShards[];
}

/** A prepared transaction on an island. */
export interface PreparedTransaction {
  island: IslandName;
  gid: string;
  /** One of its shards, whose ledger shows after a crash whether it was committed. */
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

/** The changes of a migration on an island, as numbers of shards. */
export interface IslandChanges {
  island: IslandName;
  applied: number;
  /** Shards that already had the migration. */
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

/** The activities of a migration, by their names in the history. All are idempotent. */
export interface MigrateActivities {
  "lease shards"(input: MigrateInput): Promise<LeasedShards>;
  "prepare everywhere"(input: ChangeInput): Promise<PreparedReport>;
  "commit everywhere"(input: DecisionInput): Promise<CommittedReport>;
  /** Rolls back everything that this run may have prepared; never anything committed. */
  "roll back everywhere"(input: { islands: IslandName[] }): Promise<StepReport>;
  "change each shard"(input: ChangeInput): Promise<StepReport>;
  "release shards"(input: { islands: IslandName[]; refreshViews: boolean }): Promise<StepReport>;
}
