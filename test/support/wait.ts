import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  /** For the message when it takes too long: "the row to arrive". */
  what: string;
  /** Milliseconds, 120,000 by default: it ends what would hang, and measures nothing. */
  timeout?: number;
  /** Milliseconds between two looks, 20 by default. */
  every?: number;
}

/** Waits until a condition answers something truthy, and answers that; fails with what it waited for and the last error. */
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
