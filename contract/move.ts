/**
 * The contract between the CLI, the workflows and the activities: every type, signal, query, id and task queue. What only
 * migrations or rebalances have is in migrate.ts and rebalance.ts. It imports neither Node, pg nor zod, so that everything
 * can import it.
 *
 * The glossary is in docs/architecture.md.
 */

import type { IslandName } from "./names.ts";
import type { BlockedSoFar, InTheWay, StepReport, WriteBlock } from "./progress.ts";
import type { ChangingRows, Verified, VerifyReport } from "./verify.ts";

/** The steps of a move, in order, by their names in the history. */
export const STEPS = [
  "preflight",
  "create structure",
  "subscribe",
  "tablesync",
  "build indexes",
  "analyze",
  "wait for lag",
  "verify",
  "wait for confirmation",
  "lock and switch",
  "clean up",
] as const;

/** How rows get to the destination: by PostgreSQL's tablesync workers, or by our own COPY from one snapshot. */
export type CopyMethod = "auto" | "tablesync" | "direct";

/** Whether every row is compared before the switch. */
type VerifyMode = "full" | "none";

/** How moves and copies replicate a schema. */
export interface ReplicationSwitches {
  /** Pauses before the switch (move) or before the removal of the subscription (copy), until `confirm`. */
  wait: boolean;
  /** Validates foreign keys on the destination; otherwise they arrive NOT VALID. */
  validateFks: boolean;
  /** Heavy steps wait until the replication lag is below this many seconds. */
  maxReplicationLagSec: number;
  copyMethod: CopyMethod;
  /** Bytes of WAL that the source may keep for the replication before everything is undone; null: any number. */
  maxWalBytes: number | null;
  /** Compares every row before the switch, or none. */
  verify: VerifyMode;
}

/** How a shard is moved; the same for all moves of a rebalance. */
export interface MoveSwitches extends ReplicationSwitches {
  /** False: a rehearsal that leaves `<schema>new_<time>` on the destination and changes nothing else. */
  activateOnDestination: boolean;
  /** Milliseconds that one attempt of the switch may hold the write lock. */
  maxWriteBlockMs: number;
  /** Seconds of any ten minutes for which the switch may block writers before its next attempt waits. */
  maxWriteBlockBudgetSec: number;
  /** Milliseconds after which a session that blocks the switch is cancelled, or terminated; null: never. */
  cancelBlockersAfterMs: number | null;
  terminateBlockersAfterMs: number | null;
  /** Milliseconds for which the way back stays open after the switch; null: there is none. */
  reversibleMs: number | null;
  /** Bytes of WAL that may be kept for the way back before it ends. */
  reversibleMaxWalBytes: number;
  /** SQL run for each table of the old copy after the switch; `$1` is the table's name as a literal. */
  deactivateSql: string | null;
}

/** What a move and a copy have in common. */
export interface ReplicationInput extends ReplicationSwitches {
  schema: string;
  from: IslandName;
  to: IslandName;
  /** Who has started it, as user@host, for the history. */
  startedBy?: string | undefined;
}

export interface MoveInput extends ReplicationInput, MoveSwitches {
  shard: number;
  /** A rehearsal that also takes the locks of the switch and lets go; missing if it does not. */
  rehearseSwitch?: boolean;
}

export type CopyInput = ReplicationInput;

export interface MoveResult {
  workflowId: string;
  runId: string;
  schema: string;
  from: IslandName;
  to: IslandName;
  activated: boolean;
  /** Name of the old copy on the source, or of the rehearsal's copy on the destination. */
  leftover: string | null;
  rows: number;
  /** Bytes of the COPY streams, by either method; `copiedBytes` is the same. */
  bytes: number;
  copiedBytes: number;
  /** What the shard took on the source's disk at the beginning, with indexes and TOAST. */
  sizeBytes: number;
  /** The most WAL that the source has kept for the move, as far as that was noticed. */
  walKeptBytes: number;
  durationMs: number;
  /** Longest time that writers were blocked by an attempt of the switch: `writeBlocked.longestMs`. */
  writeBlockedMs: number;
  writeBlocked: WriteBlock;
  /** Sessions that were cancelled or terminated because they blocked the switch. */
  endedBlockers: string[];
  /** Who was in the way of a rehearsed switch, the last few; missing if no switch was rehearsed. */
  blockers?: InTheWay[] | undefined;
  /** What was compared before the switch; null with `--verify=none`, and for moves that began before rows were compared. */
  verified: Verified | null;
  /** The way back that is open after the switch; missing if there is none. */
  wayBack?: { workflowId: string; expiresAt: number } | undefined;
}

export type CopyResult = Omit<
  MoveResult,
  "wayBack" | "activated" | "leftover" | "writeBlockedMs" | "writeBlocked" | "endedBlockers" | "blockers"
>;

/** Facts that preflight finds and later steps rely on; kept in the workflow's history. */
export interface Preflight {
  /** The chosen method; never `auto`. */
  copyMethod: Exclude<CopyMethod, "auto">;
  tables: number;
  /** The encoding of both databases; UTF8 if an older history lacks it. */
  encoding?: string;
  /** Bytes of heap and TOAST, which a copy reads, and the planner's estimate of rows. */
  bytes: number;
  rows: number;
  /** What the shard takes on the source's disk, as in `list`; missing in older histories. */
  sizeBytes?: number;
  source: DatabaseIdentity;
  destination: DatabaseIdentity;
  /**
   * Tables whose replica identity is FULL during the move, with their previous one: without an identity, publishing a
   * table makes every UPDATE and DELETE of the application fail at once.
   */
  identityOverrides: { table: string; was: "d" | "n" | "i" }[];
  /** Tables that are copied under the write lock: unlogged ones and those that cannot be replicated. */
  lockedCopies: string[];
  warnings: string[];
}

/** Distinguishes a database from another one at the same address, such as a restored or recreated one. */
export interface DatabaseIdentity {
  systemIdentifier: string;
  databaseOid: string;
  /** Of the server's WAL; changes when a replica is promoted or a backup restored. */
  timeline: string;
  serverMajor: number;
  superuser: boolean;
}

/** A running move that a rebalance waits for but has not started in this run. */
export interface JoinInput {
  workflowId: string;
  /** The run, if an earlier run of this rebalance has started it; null for somebody else's move. */
  runId: string | null;
  request: MoveInput;
}

/** By the name of a materialized view, the version of the source that the destination has. */
export type ViewVersions = Record<string, string>;

/** The input of every step. The workflow's id, from which all names derive, comes from the context. */
export interface StepInput {
  kind: "move" | "copy";
  request: ReplicationInput;
  plan: Preflight;
  /** The materialized views as the destination has them; missing before they are filled, and in older histories. */
  views?: ViewVersions | undefined;
  /** The source schema's fingerprint when its structure was copied; empty before. */
  fingerprint: string;
  /** The way back on which a rollback goes: its replication has the names of that run. Missing in a move. */
  wayBack?: { workflowId: string; runId: string };
}

/** The report of a step that precedes a heavy one. */
interface LagReport extends StepReport {
  /** True if a physical replica is currently behind; only then is "wait for lag" the next step. */
  replicasBehind: boolean;
}

export interface StructureReport extends LagReport {
  fingerprint: string;
}

export interface CopyReport extends LagReport {
  rows: number;
  /** Bytes of the COPY streams. */
  bytes: number;
}

export interface AnalyzeReport extends StepReport {
  /** Missing in older histories. */
  views?: ViewVersions;
}

export interface SwitchInput extends StepInput {
  move: MoveInput;
  /** Rows to compare under the lock; missing if there are none. */
  changing?: ChangingRows[];
}

export interface SettleInput extends SwitchInput {
  /** The last report of the switch that is to be settled. */
  blocked?: BlockedSoFar | undefined;
}

export interface SwitchReport extends StepReport {
  writeBlockedMs: number;
  /** Missing in older histories. */
  writeBlocked?: WriteBlock;
  endedBlockers?: string[];
  /** Missing unless the switch was rehearsed. */
  blockers?: InTheWay[] | undefined;
  leftover: string | null;
  /** Of the destination's schema right after the switch, for the way back; missing if there is none. */
  fingerprint?: string | undefined;
  /** What was copied under the lock; missing if nothing was, or if an interrupted attempt had done it. */
  copied?: { rows: number; bytes: number } | undefined;
}

export interface CleanUpInput extends StepInput {
  deactivateSql: string | null;
  leftover: string | null;
}

/**
 * The steps as activities, by their names in the history. All are idempotent: they look before they act, because any of
 * them may run again after it has done its work.
 */
export interface Activities {
  preflight(input: {
    kind: "move" | "copy";
    request: ReplicationInput;
    shard: number | null;
    /** True if the move may end sessions that block its switch. */
    endsBlockers?: boolean;
    /** True if the way back has to work, too. */
    reversible?: boolean;
  }): Promise<Preflight>;
  "create structure"(input: StepInput): Promise<StructureReport>;
  subscribe(input: StepInput): Promise<StepReport>;
  tablesync(input: StepInput): Promise<CopyReport>;
  "build indexes"(input: StepInput): Promise<StepReport>;
  analyze(input: StepInput): Promise<AnalyzeReport>;
  /** Waits for physical replicas and, with `subscription`, for the subscription, too. */
  "wait for lag"(input: StepInput & { subscription: boolean }): Promise<StepReport>;
  /** Compares every row, except those of tables that are copied under the lock. Fails with `differs`. */
  verify(input: StepInput): Promise<VerifyReport>;
  "lock and switch"(input: SwitchInput): Promise<SwitchReport>;
  /**
   * The same up to the point of no return; then everything is rolled back. It has a name of its own because a worker of an
   * earlier version would switch.
   */
  "rehearse switch"(input: SwitchInput): Promise<SwitchReport>;
  /** After a switch that failed or was aborted: finishes it if the shard has left the source, otherwise returns null. */
  "settle switch"(input: SettleInput): Promise<SwitchReport | null>;
  /** The end of a copy and of a rehearsal: sequences and triggers as on the source, nothing switched. */
  "finish copy"(input: StepInput): Promise<SwitchReport>;
  "clean up"(input: CleanUpInput): Promise<StepReport>;
  /** Watches, alongside the steps and until it is cancelled, how much WAL the source keeps; fails when that is too much. */
  "watch WAL"(input: StepInput): Promise<void>;
  /** Renews the shard's lease during a long pause. */
  "keep lease"(input: StepInput): Promise<void>;
  "drop replication"(input: StepInput): Promise<StepReport>;
  "drop structure"(input: StepInput): Promise<StepReport>;
  /** Waits for the end of a move that is not a child of this run; rejects if it failed or is a different one. */
  "join move"(input: JoinInput): Promise<MoveResult>;
}
