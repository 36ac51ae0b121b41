import type { StepProgress } from "../../contract/progress.ts";

/** What the attempts of a step know of each other: each heartbeat carries it on, since the next attempt gets the last one. */

/** Errors whose counts are remembered: a heartbeat has to stay small. */
const REMEMBERED = 5;

/** By how much the highest percentage has to grow for errors to be counted anew: a step ends after finitely many. */
const PROGRESS_PERCENT = 1;

/** Adds to a heartbeat what the one before has counted or found over all attempts. */
export function carriedOn(before: StepProgress, progress: StepProgress): StepProgress {
  const { failed, blocked, reached, furthest = 0, failedAt, verified } = before;
  const told: StepProgress = { ...progress };
  told.furthest = Math.max(furthest, progress.percent ?? 0);
  if (failedAt !== undefined) told.failedAt ??= failedAt;
  // An error before the step came further than ever says nothing about what comes now.
  if (failed && told.furthest < (told.failedAt ?? 0) + PROGRESS_PERCENT) told.failed ??= failed;
  if (blocked) told.blocked ??= blocked;
  if (verified) told.verified ??= verified;
  // While it waits, nobody knows for how long.
  if (reached) told.reached ??= { ...reached, secondsLeft: undefined };
  return told;
}

/** Counts one more error among those that have ended attempts, by the texts by which they are recognized. */
export function countedIn(failed: StepProgress["failed"], text: string): Record<string, number> {
  const { [text]: times = 0, ...others } = failed ?? {};
  const latest = Object.entries(others).slice(1 - REMEMBERED);
  return { ...Object.fromEntries(latest), [text]: times + 1 };
}
