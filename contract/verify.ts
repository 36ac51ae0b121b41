import type { IslandName } from "./names.ts";
import type { StepReport } from "./progress.ts";

/** What a verification compares: a schema, and a copy of it that may have another name. */
export interface VerifyInput {
  schema: string;
  from: IslandName;
  toSchema: string;
  to: IslandName;
  maxReplicationLagSec: number;
  /** Who has started it, as user@host, for the history. */
  startedBy?: string | undefined;
}

/** A row that is not the same on both sides. */
export interface RowDifference {
  table: string;
  /** The values of its key, or what identifies a row of a table without a key. */
  key: string;
  /** Which side lacks the row; `none` if both have it with different values. */
  missing: "source" | "destination" | "none";
  /** The columns that differ, with their values on both sides, shortened; null is NULL. */
  columns: { name: string; source: string | null; destination: string | null }[];
}

/** Rows that changed whenever they were read: by their keys, or, as null, a whole table without a key. */
export interface ChangingRows {
  table: string;
  keys: (readonly string[])[] | null;
}

/** What the comparison of a move or copy has come to. */
export interface VerifyReport extends StepReport {
  tables: number;
  /** Rows that were compared. */
  rows: number;
  /** What could not be settled; a move compares it under the lock. */
  changing: ChangingRows[];
}

/** What the comparison of any two copies has come to. */
export interface CompareReport extends VerifyReport {
  bytes: number;
  differences: RowDifference[];
  /** True if there may be more differences than those. */
  more: boolean;
}

export interface VerifyResult
  extends Omit<VerifyInput, "maxReplicationLagSec" | "startedBy">, Omit<CompareReport, keyof StepReport> {
  workflowId: string;
  runId: string;
  /** True if every row is the same on both sides. */
  same: boolean;
  durationMs: number;
}

/** What a move or copy reports about its comparison: tables and rows that are the same on both sides. */
export interface Verified {
  tables: number;
  rows: number;
  /** Tables of a copy or rehearsal with rows that changed whenever they were read; a move compares these under the lock. */
  unsettled: string[];
}

export interface VerifyActivities {
  "compare copies"(input: VerifyInput): Promise<CompareReport>;
}
