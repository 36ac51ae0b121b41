import type { Snapshot } from "../../watch/snapshot.ts";
import type { Line } from "../../watch/story.ts";
import type { SteeringSignal } from "../../watch/watch.ts";
import type { Ui } from "../ui.ts";

/** The input of a live view besides the snapshots. */
export interface Frame {
  readonly logFile: string;
  /** Counts the redraws; turns the spinner. */
  readonly tick: number;
  readonly aborting: boolean;
  readonly rows: number;
  readonly colors: Ui["colors"];
}

/** How one kind of workflow is shown: as lines of a story, and as a live view. */
export interface View {
  /** Takes a snapshot of the workflow; returns the new lines of its story. */
  take(snapshot: Snapshot): Promise<readonly Line[]> | readonly Line[];
  /** True if tasks were waiting for a worker in the last snapshot. */
  readonly idle: boolean;
  /** Draws the last snapshot as lines for a terminal. */
  draw(frame: Frame): string[];
  /** The signal that Shift+S currently sends, if any. */
  goOn(): SteeringSignal | null;
  /** The signal that Shift+P currently sends, if any. */
  pause(): SteeringSignal | null;
  /** Closes the open files. */
  close(): void;
}
