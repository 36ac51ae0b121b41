/** The contract of the history: what the islands remember of an operation when Temporal has forgotten it. */

import type { IslandName } from "./names.ts";
import type { StepReport, WriteBlock } from "./progress.ts";
import type { Verified } from "./verify.ts";

/** What an operation was. Readers show a kind that they do not know by its name. */
export type HistoryKind =
  "move" | "rehearsal" | "copy" | "migration" | "verification" | "rollback" | "way back";

/** An operation that has ended, as each of its islands writes it down. It contains no rows and no passwords. */
export interface HistoryLine {
  kind: string;
  /** The schema, or the name of a migration. */
  name: string;
  /** The schemas that it was about, as far as they were known when it ended. */
  schemas: string[];
  /** The islands that took part. */
  islands: IslandName[];
  from: IslandName | null;
  to: IslandName | null;
  /** User and host of the command; null if nobody told. */
  startedBy: string | null;
  /** In milliseconds since the epoch. */
  startedAt: number;
  endedAt: number;
  /** What the schema took on the source's disk, with indexes and TOAST. */
  sizeBytes: number | null;
  /** Bytes of the COPY streams. */
  copiedBytes: number | null;
  /** Rows that were copied or compared. */
  rows: number | null;
  /** What the attempts of a switch have cost the writers. */
  writeBlocked: WriteBlock | null;
  /** How much was compared; null if nothing was. */
  verified: Pick<Verified, "tables" | "rows"> | null;
  /** What has become of it: `moved`, `aborted`, `failed` and so on. */
  outcome: string;
  /** Why, if there is more to say: the code of an error, or `in_the_way`, and a short text without rows. */
  reason: { code: string; text: string } | null;
}

export interface HistoryActivities {
  /** Writes the line on every island. Nothing depends on it, so it gives up after a while, and reports what is missing. */
  "record history"(line: HistoryLine): Promise<StepReport | null>;
}
