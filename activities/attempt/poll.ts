import { setTimeout as sleep } from "node:timers/promises";

import { Context } from "@temporalio/activity";

/** Milliseconds between two looks at something that is being waited for. */
export const POLL_MS = 500;

/**
 * Waits; rejects at once with the cancellation when the activity is cancelled. Not the SDK's Context.sleep, because each
 * call of it leaves 1 kB behind until the activity ends: at two looks a second, 170 MB a day.
 */
export async function pause(ms: number): Promise<void> {
  const { cancellationSignal } = Context.current();
  await sleep(ms, undefined, { signal: cancellationSignal }).catch((error: unknown) => {
    throw cancellationSignal.aborted ? cancellationSignal.reason : error;
  });
}
