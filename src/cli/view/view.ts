import type { Snapshot } from "../../watch/snapshot.ts";
import type { Line } from "../../watch/story.ts";
import type { SteeringSignal } from "../../watch/watch.ts";
import type { Ui } from "../ui.ts";

/** What the live view is drawn with, besides what was seen. */
export interface Frame {
  readonly logFile: string;
  /** Counts the redraws; turns the wheel. */
  readonly tick: number;
  readonly aborting: boolean;
  readonly rows: number;
  readonly colors: Ui["colors"];
}

/** What is shown of one kind of workflow, as lines of a story and as a live view. */
export interface View {
  /** Takes in a look at the workflow; answers what is new in it. */
  take(snapshot: Snapshot): Promise<readonly Line[]> | readonly Line[];
  /** True when tasks have been waiting for a worker at the last look. */
  readonly idle: boolean;
  /** The last look as lines for a terminal. */
  draw(frame: Frame): string[];
  /** The signal that Shift+S sends at the moment, if any. */
  goOn(): SteeringSignal | null;
  /** The signal that Shift+P sends at the moment, if any. */
  pause(): SteeringSignal | null;
  /** Ends what it keeps open. */
  close(): void;
}
