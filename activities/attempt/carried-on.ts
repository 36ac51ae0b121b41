import type { StepProgress } from "../../contract/progress.ts";

/** What the attempts of a step pass on to each other: the next attempt sees the last heartbeat of the one before. */

/** Errors whose counts are remembered: a heartbeat has to stay small. */
const REMEMBERED = 5;

/** A step has to get this many percentage points further for its errors to be counted from zero; so it cannot fail forever. */
const PROGRESS_PERCENT = 1;

/** Adds to a heartbeat what the one before it has counted or found over all attempts. */
export function carriedOn(before: StepProgress, progress: StepProgress): StepProgress {
  const { failed, blocked, reached, furthest = 0, failedAt, verified } = before;
  const told: StepProgress = { ...progress };
  told.furthest = Math.max(furthest, progress.percent ?? 0);
  if (failedAt !== undefined) told.failedAt ??= failedAt;
  // Errors from before the step got further than ever say nothing about what comes next.
  if (failed && told.furthest < (told.failedAt ?? 0) + PROGRESS_PERCENT) told.failed ??= failed;
  if (blocked) told.blocked ??= blocked;
  if (verified) told.verified ??= verified;
  // While a step waits, nobody knows for how long.
  if (reached) told.reached ??= { ...reached, secondsLeft: undefined };
  return told;
}

/** Adds one to the count of errors that have ended attempts; each is recognized by its text. */
export function countedIn(failed: StepProgress["failed"], text: string): Record<string, number> {
  const { [text]: times = 0, ...others } = failed ?? {};
  const latest = Object.entries(others).slice(1 - REMEMBERED);
  return { ...Object.fromEntries(latest), [text]: times + 1 };
}
