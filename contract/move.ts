/**
 * The contract between the CLI, the workflows and the activities: every type, signal, query, id and
 * task queue; what only a migration or a rebalance has stands beside it, in migrate.ts and rebalance.ts.
 * It is free of Node, pg and zod, so that it can be imported from everywhere.
 *
 * The glossary is in docs/architecture.md.
 */

import type { IslandName } from "./names.ts";
import type { StepReport } from "./progress.ts";

/** The steps of a move, in order, by the names under which they stand in a workflow's history. */
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

/** How rows get to the destination: by PostgreSQL's tablesync workers, or by our own COPY under one snapshot. */
export type CopyMethod = "auto" | "tablesync" | "direct";

/** How a schema is replicated, by a move and a copy alike. */
export interface ReplicationSwitches {
  /** Pause before the switch (move) or before the subscription is removed (copy) until `confirm`. */
  wait: boolean;
  /** Validate foreign keys on the destination; otherwise they arrive NOT VALID. */
  validateFks: boolean;
  /** Seconds of replication lag that heavy steps wait to fall below. */
  maxReplicationLagSec: number;
  copyMethod: CopyMethod;
}

/** How a shard is moved; all moves of a rebalance have these in common. */
export interface MoveSwitches extends ReplicationSwitches {
  /** False: a rehearsal that leaves `<schema>new_<time>` on the destination and touches nothing else. */
  activateOnDestination: boolean;
  /** Milliseconds that one attempt of the switch may hold the write lock. */
  maxWriteBlockMs: number;
  /** SQL run for each table of the old copy after the switch; `$1` is the table's name as a literal. */
  deactivateSql: string | null;
}

/** What a move and a copy have in common. */
export interface ReplicationInput extends ReplicationSwitches {
  schema: string;
  from: IslandName;
  to: IslandName;
}

export interface MoveInput extends ReplicationInput, MoveSwitches {
  shard: number;
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
  bytes: number;
  durationMs: number;
  /** Longest time that writers were blocked, over all attempts of the switch. */
  writeBlockedMs: number;
}

export type CopyResult = Omit<MoveResult, "activated" | "leftover" | "writeBlockedMs">;

/** Facts that preflight finds and that the later steps rely on; kept in the workflow's history. */
export interface Preflight {
  /** Decided method: never `auto`. */
  copyMethod: Exclude<CopyMethod, "auto">;
  tables: number;
  /** Heap bytes to copy, and the planner's estimate of rows. */
  bytes: number;
  rows: number;
  source: DatabaseIdentity;
  destination: DatabaseIdentity;
  /**
   * Tables whose replica identity is set to FULL while they are moved, with what it was before: without
   * an identity, publishing a table makes every UPDATE and DELETE of the application fail at once.
   */
  identityOverrides: { table: string; was: "d" | "n" | "i" }[];
  /** Tables that are copied under the write lock: unlogged ones and those that cannot be replicated. */
  lockedCopies: string[];
  warnings: string[];
}

/** Tells a database from another one at the same address, such as a restored or a recreated one. */
export interface DatabaseIdentity {
  systemIdentifier: string;
  databaseOid: string;
  /** Of the server's WAL: another one after a replica was promoted, or a backup restored. */
  timeline: string;
  serverMajor: number;
  superuser: boolean;
}

/** A running move that a rebalance waits for without having started it in this run. */
export interface JoinInput {
  workflowId: string;
  /** The run that a run before of this rebalance has started; null for somebody else's move. */
  runId: string | null;
  request: MoveInput;
}

/** What every step is told. The workflow's id, from which all names derive, comes from its context. */
export interface StepInput {
  kind: "move" | "copy";
  request: ReplicationInput;
  plan: Preflight;
  /** Source schema's fingerprint at the time its structure was copied; empty before. */
  fingerprint: string;
}

/** A report of a step that a heavy one follows. */
interface LagReport extends StepReport {
  /** A physical replica is behind at the moment: then, and only then, "wait for lag" comes next. */
  replicasBehind: boolean;
}

export interface StructureReport extends LagReport {
  fingerprint: string;
}

export interface CopyReport extends LagReport {
  rows: number;
  bytes: number;
}

export interface SwitchInput extends StepInput {
  move: MoveInput;
}

export interface SwitchReport extends StepReport {
  writeBlockedMs: number;
  leftover: string | null;
}

export interface CleanUpInput extends StepInput {
  deactivateSql: string | null;
  leftover: string | null;
}

/**
 * The steps as activities, under the names by which they stand in the history. All are idempotent: they
 * look before they act, since any of them may run again after it has done its work.
 */
export interface Activities {
  preflight(input: {
    kind: "move" | "copy";
    request: ReplicationInput;
    shard: number | null;
  }): Promise<Preflight>;
  "create structure"(input: StepInput): Promise<StructureReport>;
  subscribe(input: StepInput): Promise<StepReport>;
  tablesync(input: StepInput): Promise<CopyReport>;
  "build indexes"(input: StepInput): Promise<StepReport>;
  analyze(input: StepInput): Promise<StepReport>;
  /** Waits for physical replicas; with `subscription`, then for the subscription too. */
  "wait for lag"(input: StepInput & { subscription: boolean }): Promise<StepReport>;
  "lock and switch"(input: SwitchInput): Promise<SwitchReport>;
  /** After a switch that failed or was aborted: finishes it when the source has left, else answers null. */
  "settle switch"(input: SwitchInput): Promise<SwitchReport | null>;
  /** The end of a copy and of a rehearsal: sequences and triggers as on the source, nothing switched. */
  "finish copy"(input: StepInput): Promise<SwitchReport>;
  "clean up"(input: CleanUpInput): Promise<StepReport>;
  /** Renews the shard's lease in a long pause. */
  "keep lease"(input: StepInput): Promise<void>;
  "drop replication"(input: StepInput): Promise<StepReport>;
  "drop structure"(input: StepInput): Promise<StepReport>;
  /** Waits for the end of a move that is no child of the waiting run; rejects when it failed or is another one. */
  "join move"(input: JoinInput): Promise<MoveResult>;
}
