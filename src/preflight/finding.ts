import type { IslandName } from "../../contract/names.ts";

/** Something that the doctor found. */
export interface Finding {
  /** Null for what concerns several islands. */
  readonly island: IslandName | null;
  /** A problem keeps moves from working; a warning is worth knowing. */
  readonly severity: "problem" | "warning";
  /** What is wrong, and what to change. */
  readonly text: string;
}
