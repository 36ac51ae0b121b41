import { STEPS } from "../../../contract/move.ts";
import { type RebalanceProgress } from "../../../contract/rebalance.ts";
import { bytes, duration, percentDone } from "../../format.ts";
import { figuresOf, reachedBy } from "../../watch/figures.ts";
import { rebalanceProgress } from "../../watch/rebalance-progress.ts";
import type { Snapshot } from "../../watch/snapshot.ts";
import { idleText, numbersOf, waitOf, withWal } from "../../watch/story.ts";
import type { Frame } from "./view.ts";

/** The input of the live view of a rebalance. */
export interface RebalanceFrame extends Frame {
  readonly snapshot: Snapshot;
  readonly moves: readonly Snapshot[];
  readonly idleQueue: string | null;
}

const WHEEL = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const STEP_WIDTH = Math.max(...STEPS.map((step) => step.length));
/** Lines for past events, below the running moves. */
const LAST_EVENTS = 5;
const BAR = 30;

/** Draws all moves of a rebalance as lines: totals, running moves, failed moves, the last moves that ended. */
export function renderRebalance(frame: RebalanceFrame): string[] {
  const { snapshot, moves, colors, rows, idleQueue, aborting, logFile } = frame;
  const progress = rebalanceProgress(snapshot);
  if (!progress) return [colors.bold(snapshot.workflowId), colors.dim("  (no answer from the workflow yet)")];
  const keys = keysOf(frame, progress);
  const footer = snapshot.running
    ? [...keys, aborting ? "^C leaves the cleanup to the background" : "^C aborts all", logFile]
    : [logFile];
  const reached = reachedBy(progress, moves);
  const head = [
    colors.bold(headline(progress)),
    `  ${bar(reached)}  ${timeLeft(progress, snapshot.running ? reached.secondsLeft : null)}`,
  ];
  const tail = [colors.dim(`  ${footer.join(" · ")}`)];
  if (idleQueue) tail.unshift(colors.yellow(`  ${idleText(idleQueue)}`));
  const room = Math.max(3, rows - head.length - tail.length - 2);
  const running = snapshot.running ? moveLines(frame, progress, moves, room) : [];
  const failures = progress.failures
    .slice(-Math.max(0, room - running.length))
    .map(({ schema, from, to, reason }) =>
      colors.red(`  ✘ ${schema} ${from} → ${to}: ${reason.split("\n")[0]}`),
    );
  const left = Math.max(0, Math.min(LAST_EVENTS, room - running.length - failures.length));
  const ended = progress.events.filter(({ begins }) => !begins);
  const last = left === 0 ? [] : ended.slice(-left).map(({ text }) => colors.dim(`  ${text.split("\n")[0]}`));
  return [...head, ...running, ...failures, ...last, ...tail];
}

function headline({ phase, total, done, failed, bytes: all, bytesDone }: RebalanceProgress): string {
  const failures = failed > 0 ? `, ${failed} failed` : "";
  return `rebalance  ${phase}: ${done} of ${total} moves done${failures}, ${bytes(bytesDone)} of ${bytes(all)}`;
}

function bar({ percent }: { percent: number }): string {
  const full = Math.round((BAR * percent) / 100);
  return `${"█".repeat(full)}${"░".repeat(BAR - full)} ${percentDone(percent)}`;
}

function timeLeft({ startedAt }: RebalanceProgress, secondsLeft: number | null): string {
  const left = secondsLeft === null ? "" : `, about ${duration(1000 * secondsLeft)} left`;
  return `${duration(Date.now() - startedAt)}${left}`;
}

/** True while there are moves that have not started yet. */
export const mayPause = ({ phase, total, done, failed, running }: RebalanceProgress): boolean =>
  phase === "running" && done + failed + running.length < total;

function moveLines(
  { tick, colors, aborting }: RebalanceFrame,
  { running }: RebalanceProgress,
  moves: readonly Snapshot[],
  room: number,
): string[] {
  const looks = new Map(moves.map((move) => [move.workflowId, move]));
  const width = Math.max(...running.map(({ schema, from, to }) => `${schema} ${from} → ${to}`.length));
  const lines = running.flatMap(({ workflowId, schema, from, to, startedAt }) => {
    const look = looks.get(workflowId);
    const waiting = look ? waitOf(look) : null;
    const paused = look?.progress?.phase === "paused";
    const mark = aborting
      ? colors.yellow("↩")
      : paused
        ? colors.yellow("‖")
        : colors.cyan(WHEEL[tick % WHEEL.length]);
    const what = `${schema} ${from} → ${to}`.padEnd(width);
    const details = look?.activities[0]?.details;
    const failure = look?.activities.find((activity) => activity.failure !== null)?.failure;
    const numbers = failure
      ? colors.red(failure.split("\n")[0])
      : waiting
        ? colors.yellow(`waiting for ${waiting}`)
        : look
          ? withWal([percentText(look), details ? numbersOf(details) : ""].filter(Boolean).join(", "), look)
          : "";
    const step = (look?.progress?.step ?? "").padEnd(STEP_WIDTH);
    return `  ${mark} ${what}  ${step}  ${duration(Date.now() - startedAt).padStart(9)}  ${numbers}`;
  });
  if (lines.length <= room) return lines;
  return [...lines.slice(0, room - 1), colors.dim(`  … and ${lines.length - room + 1} more`)];
}

function percentText(look: Snapshot): string {
  const { percent } = figuresOf(look);
  return percent === null ? "" : percentDone(percent);
}

function keysOf({ moves }: RebalanceFrame, progress: RebalanceProgress): string[] {
  if (progress.phase === "paused") return ["Shift+S starts the other moves"];
  return [...goOnKeys(moves), ...(mayPause(progress) ? ["Shift+P pauses"] : [])];
}

function goOnKeys(moves: readonly Snapshot[]): string[] {
  const paused = moves.filter(({ progress }) => progress?.phase === "paused").length;
  if (paused > 0)
    return [`Shift+S confirms ${paused === 1 ? "the paused move" : `the ${paused} paused moves`}`];
  const lagging = moves.some(({ progress }) => progress?.step === "wait for lag");
  return lagging ? ["Shift+S continues without waiting for lag"] : [];
}
