import type { MovePhase } from "../../../contract/progress.ts";
import type { Progress, ProgressEvent, StepName } from "../../../contract/story.ts";
import { bytes, duration, percentDone, walKept } from "../../format.ts";
import { figuresOf } from "../../watch/figures.ts";
import type { ObservedLag } from "../../watch/lag.ts";
import type { Snapshot } from "../../watch/snapshot.ts";
import { idleText, numbersOf, waitOf } from "../../watch/story.ts";
import type { Ui } from "../ui.ts";

/** The input of the live view. */
export interface Frame {
  readonly snapshot: Snapshot;
  /** The lag read from the islands; empty if this command knows only what the workflow reports. */
  readonly lags: readonly ObservedLag[];
  /** The task queue that no worker polls, if any. */
  readonly idleQueue: string | null;
  readonly logFile: string;
  /** Counts the redraws; turns the spinner. */
  readonly tick: number;
  readonly aborting: boolean;
  readonly rows: number;
}

const WHEEL = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const SQL_LINES = 4;

type Mark = readonly [mark: string, color: "green" | "yellow" | "red"];
const DONE: Mark = ["✔", "green"];
/** The mark of the step in which a workflow ended. */
const ENDED: Partial<Record<MovePhase, Mark>> = {
  done: DONE,
  failed: ["✘", "red"],
  aborted: ["↩", "yellow"],
};

/** Draws the live view of a move or copy as lines of any width. */
export function render(frame: Frame, colors: Ui["colors"]): string[] {
  const { snapshot, rows } = frame;
  const { progress } = snapshot;
  const lines = [header(snapshot, colors)];
  const current = progress?.step;
  const steps = (progress?.steps ?? []).flatMap((step) => stepLines(step, frame, colors));
  // If the terminal has few rows, only the running step is shown.
  const fitting = steps.length + 6 <= rows ? steps : current ? stepLines(current, frame, colors) : [];
  lines.push(...fitting);
  if (!progress) lines.push(colors.dim("  (no answer from the workflow yet)"));
  const waiting = waitOf(snapshot);
  if (waiting) lines.push(colors.yellow(`  waiting for ${waiting}`));
  if (frame.idleQueue) lines.push(colors.yellow(`  ${idleText(frame.idleQueue)}`));
  for (const { step, failure, attempt } of snapshot.activities) {
    if (failure) lines.push(colors.red(`  ${step}: attempt ${attempt - 1} failed: ${firstLine(failure)}`));
  }
  lines.push(...lagLines(frame, colors), footer(frame, colors));
  return lines.slice(0, Math.max(rows - 1, 3));
}

function header(snapshot: Snapshot, colors: Ui["colors"]): string {
  const { workflowId, progress } = snapshot;
  if (!progress) return colors.bold(workflowId);
  const { schema, from, to, phase, startedAt } = progress;
  const { percent, sizeBytes, secondsLeft } = figuresOf(snapshot);
  const what = schema ? `${schema}: ${from} → ${to}` : workflowId;
  const numbers = [
    phase,
    `${percentDone(percent ?? 0)}${sizeBytes === null ? "" : ` of ${bytes(sizeBytes)}`}`,
    duration(Date.now() - startedAt),
    secondsLeft === null ? "" : `about ${duration(1000 * secondsLeft)} left`,
  ];
  return `${colors.bold(what)}  ${numbers.filter(Boolean).join(", ")}`;
}

function stepLines(step: StepName, { snapshot, tick, aborting }: Frame, colors: Ui["colors"]): string[] {
  const { progress, activities } = snapshot;
  if (!progress) return [];
  const told = progress.events.filter((event) => event.step === step);
  const name = step.padEnd(widthOf(progress));
  const isCurrent = progress.step === step;
  if (!isCurrent || !snapshot.running) {
    const ended = isCurrent ? ENDED[progress.phase] : undefined;
    if (told.length === 0 && !ended) return [colors.dim(`  · ${name}`)];
    const took = duration(durationOf(step, progress.events, progress.startedAt)).padStart(9);
    const [mark, color] = ended ?? DONE;
    return [`  ${colors[color](mark)} ${name}  ${took}  ${colors.dim(firstLine(told.at(-1)?.text ?? ""))}`];
  }
  const since = Math.max(progress.startedAt, progress.events.at(-1)?.at ?? 0);
  const took = duration(Date.now() - since).padStart(9);
  const details = activities[0]?.details;
  const mark = aborting ? colors.yellow("↩") : colors.cyan(WHEEL[tick % WHEEL.length]);
  const numbers = details ? numbersOf(details) : (told.at(-1)?.text ?? "");
  const sql = (details?.sql ?? "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, SQL_LINES);
  return [
    `  ${mark} ${colors.bold(name)}  ${took}  ${firstLine(numbers)}`,
    ...sql.map((line) => colors.dim(`      ${line}`)),
  ];
}

const widthOf = ({ steps }: Progress): number => Math.max(...steps.map((step) => step.length));

/** An event is recorded when something has ended, so a step took the time since the previous event. */
function durationOf(step: StepName, events: readonly ProgressEvent[], startedAt: number): number {
  return events.reduce(
    (sum, event, i) => (event.step === step ? sum + event.at - (events[i - 1]?.at ?? startedAt) : sum),
    0,
  );
}

function lagLines({ snapshot, lags: observed }: Frame, colors: Ui["colors"]): string[] {
  if (!snapshot.running) return [];
  const told = snapshot.activities.flatMap(({ details }) => details?.lags ?? []);
  const lags: readonly ObservedLag[] =
    observed.length > 0 ? observed : told.map((lag) => ({ ...lag, known: true }));
  const shown = lags.map(
    ({ island, replica, seconds, known }) =>
      `${replica} of ${island} ${known ? "" : "more than "}${duration(1000 * seconds)}`,
  );
  const { walKeptBytes } = snapshot;
  const lines = [
    ...(walKeptBytes === null ? [] : [walKept(walKeptBytes)]),
    ...(lags.length === 0 ? [] : [`replication lag: ${shown.join(", ")}`]),
  ];
  return lines.map((line) => colors.dim(`  ${line}`));
}

function footer({ snapshot, logFile, aborting }: Frame, colors: Ui["colors"]): string {
  const { progress } = snapshot;
  const keys: string[] = [];
  if (!snapshot.running) return colors.dim(`  ${logFile}`);
  if (progress?.phase === "paused") keys.push("Shift+S confirms");
  else if (waitOf(snapshot)) keys.push("Shift+S continues without waiting");
  keys.push(aborting ? "^C leaves the cleanup to the background" : "^C aborts");
  keys.push(logFile);
  return colors.dim(`  ${keys.join(" · ")}`);
}

const firstLine = (text: string): string => text.split("\n")[0]!;
