import type { IslandName } from "../../contract/names.ts";

/** Something that `doctor` found. */
export interface Finding {
  /** Null if it concerns several islands. */
  readonly island: IslandName | null;
  /** A problem prevents moves; a warning is worth knowing. */
  readonly severity: "problem" | "warning";
  /** What is wrong, and what to change. */
  readonly text: string;
}
