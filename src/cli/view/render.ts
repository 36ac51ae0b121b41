import type { MovePhase } from "../../../contract/progress.ts";
import type { Progress, ProgressEvent, StepName } from "../../../contract/story.ts";
import { bytes, duration, percentDone, walKept } from "../../format.ts";
import { shortNames } from "../../short-names.ts";
import { figuresOf } from "../../watch/figures.ts";
import type { ObservedLag } from "../../watch/lag.ts";
import type { Snapshot } from "../../watch/snapshot.ts";
import { numbersOf, waitOf } from "../../watch/story.ts";
import { fit, footer, goOnOf, idleLines, spinner } from "./frame-parts.ts";
import type { Frame } from "./view.ts";

/** The input of the live view of a move, copy or migration. */
export interface MoveFrame extends Frame {
  readonly snapshot: Snapshot;
  /** The lag read from the islands; empty if this command knows only what the workflow reports. */
  readonly lags: readonly ObservedLag[];
  /** The task queue that no worker polls, if any. */
  readonly idleQueue: string | null;
}

const SQL_LINES = 4;

type Mark = readonly [mark: string, color: "green" | "yellow" | "red"];
const DONE: Mark = ["✔", "green"];
/** The mark of the step in which a workflow ended. */
const ENDED: Partial<Record<MovePhase, Mark>> = {
  done: DONE,
  failed: ["✘", "red"],
  aborted: ["↩", "yellow"],
};

/** Draws the live view of a move, copy or migration as lines. */
export function render(frame: MoveFrame): string[] {
  const { snapshot, sheet, colors, idleQueue } = frame;
  const { progress } = snapshot;
  const head = progress ? header(frame, progress) : [colors.bold(snapshot.workflowId)];
  const waiting = waitOf(snapshot);
  const alerts = [
    ...(progress ? [] : [colors.dim("  (no answer from the workflow yet)")]),
    ...(waiting ? sheet.hang("  ", `waiting for ${waiting}`, colors.yellow) : []),
    ...idleLines(frame, idleQueue, snapshot),
    ...snapshot.activities.flatMap(({ step, failure, attempt }) =>
      failure ? sheet.hang("  ", `${step}: attempt ${attempt - 1} failed: ${failure}`, colors.red) : [],
    ),
  ];
  const tail = [...lagLines(frame), ...footer(frame, snapshot, keysOf(snapshot))];
  const room = sheet.rows - 1 - head.length - alerts.length - tail.length;
  const steps = progress ? fittingSteps(frame, progress, room) : [];
  return fit(frame, head, [...steps, ...alerts], tail);
}

/** All steps with all that they tell; or with one line for those that are done; or only the current one. */
function fittingSteps(frame: MoveFrame, progress: Progress, room: number): string[] {
  const lines = (steps: readonly StepName[], whole: boolean): string[] =>
    steps.flatMap((step) => stepLines(step, frame, progress, whole));
  const all = [lines(progress.steps, true), lines(progress.steps, false)].find(
    (steps) => steps.length <= room,
  );
  return all ?? lines([progress.step], true);
}

/** Numbers first, then the islands; on a line of their own if they are too long. */
function header({ snapshot, sheet, colors }: MoveFrame, progress: Progress): string[] {
  const { schema, from, to, phase, startedAt } = progress;
  const { percent, sizeBytes, secondsLeft } = figuresOf(snapshot);
  const numbers = [
    phase,
    `${percentDone(percent ?? 0)}${sizeBytes === null ? "" : ` of ${bytes(sizeBytes)}`}`,
    duration((snapshot.endedAt ?? Date.now()) - startedAt),
    secondsLeft === null ? "" : `about ${duration(1000 * secondsLeft)} left`,
  ];
  const shown = numbers.filter(Boolean).join(", ");
  if (!schema) return sheet.hang(`${colors.bold(snapshot.workflowId)}  `, shown);
  const one = `${colors.bold(schema)}  ${shown}  ${from} → ${to}`;
  const fits = sheet.hang("", one);
  if (fits.length === 1) return fits;
  const short = shortNames([from, to]);
  const names = sheet.hang("  ", `${from} → ${to}`);
  return [
    ...sheet.hang(`${colors.bold(schema)}  `, shown),
    ...(names.length === 1 ? names : sheet.hang("  ", `${short(from)} → ${short(to)}`)),
  ];
}

/** What a step tells that somebody has to look at. */
const NOTABLE = /FAILED|^warning/;

function stepLines(step: StepName, frame: MoveFrame, progress: Progress, whole: boolean): string[] {
  const { snapshot, sheet, colors } = frame;
  const name = step.padEnd(widthOf(progress));
  if (progress.step === step && snapshot.running) return currentStep(name, frame, progress);
  const told = progress.events.filter((event) => event.step === step);
  const ended = progress.step === step ? ENDED[progress.phase] : undefined;
  if (told.length === 0 && !ended) {
    const unneeded = wasNotNeeded(step, progress);
    return [colors.dim(unneeded ? `  – ${name}  ${"".padStart(9)}  not needed` : `  · ${name.trimEnd()}`)];
  }
  const took = duration(durationOf(step, progress.events, progress.startedAt)).padStart(9);
  const [mark, color] = ended ?? DONE;
  const head = `  ${colors[color](mark)} ${name}  ${took}  `;
  const text = told.at(-1)?.text ?? "";
  const notable = told.map((event) => event.text).filter((line) => line !== text && NOTABLE.test(line));
  return [
    ...(whole || NOTABLE.test(text)
      ? sheet.hang(head, text, colors.dim)
      : [sheet.cut(head, text, colors.dim)]),
    ...notable.flatMap((line) => (whole ? sheet.hang("      ", line, colors.yellow) : [])),
  ];
}

/** A step without a story that the run has passed. The waits for lag come several times, so what is before one is not passed. */
function wasNotNeeded(step: StepName, { steps, step: current, phase }: Progress): boolean {
  if (phase === "done") return true;
  return current !== "wait for lag" && steps.indexOf(step) < steps.indexOf(current);
}

function currentStep(name: string, frame: MoveFrame, progress: Progress): string[] {
  const { snapshot, sheet, colors } = frame;
  const since = Math.max(progress.startedAt, progress.events.at(-1)?.at ?? 0);
  const took = duration(Date.now() - since).padStart(9);
  const details = snapshot.activities[0]?.details;
  const told = progress.events.findLast(({ step }) => step === progress.step)?.text;
  const numbers = details ? numbersOf(details) : (told ?? "");
  const sql = (details?.sql ?? "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, SQL_LINES);
  return [
    ...sheet.hang(`  ${spinner(frame)} ${colors.bold(name)}  ${took}  `, numbers),
    ...sql.map((line) => sheet.cut("      ", line, colors.dim)),
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

function lagLines({ snapshot, lags: observed, sheet, colors }: MoveFrame): string[] {
  if (!snapshot.running) return [];
  const told = snapshot.activities.flatMap(({ details }) => details?.lags ?? []);
  const lags: readonly ObservedLag[] =
    observed.length > 0 ? observed : told.map((lag) => ({ ...lag, known: true }));
  const shown = lags.map(
    ({ island, replica, seconds, known }) =>
      `${known ? "" : "more than "}${duration(1000 * seconds)} ${replica} of ${island}`,
  );
  const { walKeptBytes } = snapshot;
  const lines = [
    ...(walKeptBytes === null ? [] : [walKept(walKeptBytes)]),
    ...(lags.length === 0 ? [] : [`replication lag: ${shown.join(", ")}`]),
  ];
  return lines.flatMap((line) => sheet.hang("  ", line, colors.dim));
}

function keysOf(snapshot: Snapshot): string[] {
  const goOn = goOnOf(snapshot);
  if (goOn === "confirm") return ["Shift+S confirms", "^C aborts"];
  const lagging = goOn === "skipLag" && waitOf(snapshot) !== null;
  return [...(lagging ? ["Shift+S continues without waiting for lag"] : []), "^C aborts"];
}
