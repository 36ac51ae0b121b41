import type { ChangingRows } from "./move.ts";
import type { IslandName } from "./names.ts";
import type { StepReport } from "./progress.ts";

/** What a verification compares: a schema, and a copy of it that may have another name. */
export interface VerifyInput {
  schema: string;
  from: IslandName;
  toSchema: string;
  to: IslandName;
  maxReplicationLagSec: number;
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

export interface VerifyResult {
  workflowId: string;
  runId: string;
  schema: string;
  from: IslandName;
  toSchema: string;
  to: IslandName;
  /** True if every row is the same on both sides. */
  same: boolean;
  tables: number;
  rows: number;
  bytes: number;
  durationMs: number;
  differences: RowDifference[];
  /** True if there may be more differences than those. */
  more: boolean;
  /** Rows that changed whenever they were read. */
  changing: ChangingRows[];
}

/** What a comparison has come to. */
export interface CompareReport extends StepReport {
  tables: number;
  rows: number;
  bytes: number;
  differences: RowDifference[];
  more: boolean;
  changing: ChangingRows[];
}

export interface VerifyActivities {
  "compare copies"(input: VerifyInput): Promise<CompareReport>;
}
