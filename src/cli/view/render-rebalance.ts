import { STEPS } from "../../../contract/move.ts";
import { type RebalanceProgress, type RunningMove } from "../../../contract/rebalance.ts";
import { bytes, duration, percentDone } from "../../format.ts";
import { shortNames } from "../../short-names.ts";
import { figuresOf, reachedBy } from "../../watch/figures.ts";
import { rebalanceProgress } from "../../watch/rebalance-progress.ts";
import type { Snapshot } from "../../watch/snapshot.ts";
import { numbersOf, waitOf, withWal } from "../../watch/story.ts";
import { fit, footer, goOnOf, idleLines, spinner } from "./frame-parts.ts";
import type { Frame } from "./view.ts";

/** The input of the live view of a rebalance. */
export interface RebalanceFrame extends Frame {
  readonly snapshot: Snapshot;
  readonly moves: readonly Snapshot[];
  /** The task queue that no worker polls, if any, and the workflow that waits for it. */
  readonly idle: { readonly queue: string; readonly snapshot: Snapshot } | null;
}

const STEP_WIDTH = Math.max(...STEPS.map((step) => step.length));
/** Past events that are shown, below the running moves. */
const LAST_EVENTS = 5;
const BAR = 30;

/** Draws all moves of a rebalance as lines: totals, running moves, failed moves, the last moves that ended. */
export function renderRebalance(frame: RebalanceFrame): string[] {
  const { snapshot, colors, sheet, idle } = frame;
  const progress = rebalanceProgress(snapshot);
  const head = progress
    ? totals(frame, progress)
    : [colors.bold(snapshot.workflowId), colors.dim("  (no answer from the workflow yet)")];
  const tail = [
    ...(idle ? idleLines(frame, idle.queue, idle.snapshot) : []),
    ...footer(frame, snapshot, progress ? keysOf(frame, progress) : ["^C aborts all"]),
  ];
  if (!progress) return fit(frame, head, [], tail);
  const room = Math.max(3, sheet.rows - 1 - head.length - tail.length);
  const short = shortNames([...progress.running, ...progress.failures].flatMap(({ from, to }) => [from, to]));
  const failures = failureBlocks(frame, progress, short);
  const running = snapshot.running ? moveBlocks(frame, progress, short) : [];
  // Each may take half of the room, and what the other leaves.
  const shownFailures = fitting(
    failures.toReversed(),
    Math.max(room >> 1, room - running.flat().length),
  ).toReversed();
  const shown = fitting(running, room - shownFailures.flat().length);
  const left = running.length - shown.length;
  const body = [
    ...shown.flat(),
    ...(left > 0 ? [colors.dim(`  … and ${left} more`)] : []),
    ...shownFailures.flat(),
  ];
  const events = fitting(eventBlocks(frame, progress).toReversed(), room - body.length).toReversed();
  return fit(frame, head, [...body, ...events.flat()], tail);
}

/** The first blocks that together have room; one line is kept for how many more there are. */
function fitting(blocks: readonly string[][], room: number): string[][] {
  let used = 0;
  const shown = blocks.findIndex((block) => (used += block.length) > room);
  if (shown === -1) return [...blocks];
  used = 0;
  return blocks.slice(
    0,
    blocks.findIndex((block) => (used += block.length) > room - 1),
  );
}

function totals({ sheet, colors, snapshot, moves }: RebalanceFrame, progress: RebalanceProgress): string[] {
  const reached = reachedBy(progress, moves);
  const end = snapshot.endedAt ?? Date.now();
  const left = snapshot.running ? reached.secondsLeft : null;
  const time = [
    duration(end - progress.startedAt),
    left === null ? "" : `about ${duration(1000 * left)} left`,
  ];
  return [
    ...sheet.hang("", headline(progress)).map(colors.bold),
    ...sheet.hang("  ", `${percentDone(reached.percent)}, ${time.filter(Boolean).join(", ")}`),
    `  ${bar(reached.percent)}`,
  ];
}

function headline({ phase, total, done, failed, bytes: all, bytesDone }: RebalanceProgress): string {
  const failures = failed > 0 ? `, ${failed} failed` : "";
  return `rebalance  ${phase}: ${done} of ${total} moves done${failures}, ${bytes(bytesDone)} of ${bytes(all)}`;
}

function bar(percent: number): string {
  const full = Math.round((BAR * percent) / 100);
  return `${"█".repeat(full)}${"░".repeat(BAR - full)}`;
}

/** True while there are moves that have not started yet. */
export const mayPause = ({ phase, total, done, failed, running }: RebalanceProgress): boolean =>
  phase === "running" && done + failed + running.length < total;

type Short = (island: string) => string;

function moveBlocks(frame: RebalanceFrame, { running }: RebalanceProgress, short: Short): string[][] {
  const looks = new Map(frame.moves.map((move) => [move.workflowId, move]));
  const width = Math.max(...running.map(({ schema }) => schema.length));
  return running.map((move) => moveLines(frame, move, looks.get(move.workflowId), width, short));
}

/** Numbers before names, and below them what it waits for, or why it was tried again. */
function moveLines(
  frame: RebalanceFrame,
  { schema, from, to, startedAt }: RunningMove,
  look: Snapshot | undefined,
  width: number,
  short: Short,
): string[] {
  const { sheet, colors } = frame;
  const mark = look?.progress?.phase === "paused" && !frame.aborting ? colors.yellow("‖") : spinner(frame);
  const step = (look?.progress?.step ?? "").padEnd(STEP_WIDTH);
  const numbers = `${percentText(look).padStart(5)}  ${duration(Date.now() - startedAt).padStart(9)}`;
  const head = `  ${mark} ${schema.padEnd(width)}  ${numbers}  ${step}  `;
  const details = look?.activities[0]?.details;
  const route = `${short(from)} → ${short(to)}`;
  const told = look ? withWal(details ? numbersOf(details) : "", look) : "";
  const failure = look?.activities.find((activity) => activity.failure !== null)?.failure;
  const waiting = look ? waitOf(look) : null;
  return [
    ...sheet.hang(head, [route, failure || waiting ? "" : told].filter(Boolean).join("  ")),
    ...(failure ? sheet.hang("      ", failure, colors.red) : []),
    ...(waiting && !failure ? sheet.hang("      ", `waiting for ${waiting}`, colors.yellow) : []),
  ];
}

/** While others go on; at the end, the result names each. */
function failureBlocks(
  { snapshot, sheet, colors }: RebalanceFrame,
  { failures, phase }: RebalanceProgress,
  short: Short,
): string[][] {
  if (!snapshot.running && phase === "done") return [];
  return failures.map(({ schema, from, to, reason }) =>
    sheet.hang("  ", `✘ ${schema} ${short(from)} → ${short(to)}: ${reason}`, colors.red),
  );
}

/** The last moves that ended well; failures have lines of their own. */
function eventBlocks({ sheet, colors }: RebalanceFrame, { events }: RebalanceProgress): string[][] {
  return events
    .filter(({ begins, text }) => !begins && !text.startsWith("FAILED "))
    .slice(-LAST_EVENTS)
    .map(({ text }) => sheet.hang("  ", text, colors.dim));
}

function percentText(look: Snapshot | undefined): string {
  const percent = look ? figuresOf(look).percent : null;
  return percent === null ? "" : percentDone(percent);
}

function keysOf({ moves }: RebalanceFrame, progress: RebalanceProgress): string[] {
  const keys =
    progress.phase === "paused"
      ? ["Shift+S starts the other moves"]
      : [...goOnKeys(moves), ...(mayPause(progress) ? ["Shift+P pauses"] : [])];
  return [...keys, "^C aborts all"];
}

function goOnKeys(moves: readonly Snapshot[]): string[] {
  const signals = moves.map(goOnOf);
  const paused = signals.filter((signal) => signal === "confirm").length;
  if (paused > 0)
    return [`Shift+S confirms ${paused === 1 ? "the paused move" : `the ${paused} paused moves`}`];
  return signals.includes("skipLag") ? ["Shift+S continues without waiting for lag"] : [];
}
