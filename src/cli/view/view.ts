import type { Snapshot } from "../../watch/snapshot.ts";
import type { Line } from "../../watch/story.ts";
import type { SteeringSignal } from "../../watch/watch.ts";
import type { Ui } from "../ui.ts";
import type { Sheet } from "./sheet.ts";

/** The input of a live view besides the snapshots. */
export interface Frame {
  readonly logFile: string;
  /** The answer to the last key, for a moment. */
  readonly notice: string | null;
  /** Counts the redraws; turns the spinner. */
  readonly tick: number;
  readonly aborting: boolean;
  readonly sheet: Sheet;
  readonly colors: Ui["colors"];
}

/** How one kind of workflow is shown: as lines of a story, and as a live view. */
export interface View {
  /** Takes a snapshot of the workflow; returns the new lines of its story. */
  take(snapshot: Snapshot): Promise<readonly Line[]> | readonly Line[];
  /** True if tasks were waiting for a worker in the last snapshot. */
  readonly idle: boolean;
  /** True once the workflow has told how far it is: before that, nobody knows what a key would do. */
  readonly answered: boolean;
  /** Draws the last snapshot as lines that fit the sheet. */
  draw(frame: Frame): string[];
  /** The signal that Shift+S currently sends, if any. */
  goOn(): SteeringSignal | null;
  /** The signal that Shift+P currently sends, if any. */
  pause(): SteeringSignal | null;
  /** Closes the open files. */
  close(): void;
}
