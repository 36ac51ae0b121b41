import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  /** For the message if it takes too long: "the row to arrive". */
  what: string;
  /** Milliseconds, 120,000 by default: only ends what would hang, and measures nothing. */
  timeout?: number;
  /** Milliseconds between two polls, 20 by default. */
  every?: number;
}

/** Waits until a condition returns something truthy, and returns that; fails with `what` and the last error. */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what, timeout = 120_000, every = 20 }: WaitOptions,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeout;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`Waited ${timeout} ms in vain for ${what}.`, { cause });
    await sleep(every);
  }
}
