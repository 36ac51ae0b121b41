import { setTimeout as sleep } from "node:timers/promises";

import { ShardferryError } from "../../src/errors.ts";
import type { ActivityAttempt } from "./attempt.ts";

/** Milliseconds between two looks; in that time, writers of 2,000 rows a second make a few MB of WAL. */
const EVERY_MS = 1000;

/**
 * The first amount of WAL that the workflow is told, and by what factor it has to grow to be told again: each signal makes the
 * history longer.
 */
const NOTEWORTHY_BYTES = 64 << 20;
const GROWTH = 1.25;

/** Another worker can continue the watch without losing anything, so this one stops at once. */
class WorkerStopsError extends ShardferryError {
  override readonly retryable = true;

  constructor() {
    super("worker_stops", "the worker is stopping; another one continues");
  }
}

/** Looks every second until a look returns something, the activity is cancelled, or the worker stops. */
export async function watchUntil<T>(attempt: ActivityAttempt, look: () => Promise<T | null>): Promise<T> {
  const { stopping } = attempt.deps;
  const ended = AbortSignal.any([stopping, attempt.signal]);
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    await sleep(EVERY_MS, undefined, { signal: ended }).catch(() => attempt.throwIfCancelled());
    if (stopping.aborted) throw new WorkerStopsError();
  }
}

/** Returns a function that tells the workflow how much WAL is kept, when that is worth telling or more than the limit. */
export function walTeller(attempt: ActivityAttempt, limit = Infinity): (walKeptBytes: number) => void {
  let told = NOTEWORTHY_BYTES / GROWTH;
  return (walKeptBytes) => {
    if (walKeptBytes <= told * GROWTH && walKeptBytes <= limit) return;
    told = walKeptBytes;
    attempt.notice({ walKeptBytes });
  };
}
