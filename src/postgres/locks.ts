import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import { type Blocker, describeBlockers, disturbBlockersOf } from "./blockers.ts";
import { hasSqlstate, lockNotGranted, SQLSTATE } from "./errors/sqlstate.ts";
import { backendPid } from "./session.ts";

/** Milliseconds for which a statement of ours may make others queue behind it. */
export const LOCK_TIMEOUT_MS = 100;

/** Lends another session on the server on which something waits for a lock. */
export type Lend = <T>(use: (client: ClientBase) => Promise<T>) => Promise<T>;

/** Finds out, halfway through a session's wait for a lock, what blocks it, and makes an autovacuum give way. */
export async function blockersDuring(
  waiter: ClientBase,
  wait: Promise<unknown>,
  lend: Lend,
): Promise<Blocker[]> {
  const over = wait.then(
    () => true,
    () => true,
  );
  if (await Promise.race([over, sleep(LOCK_TIMEOUT_MS / 2, false, { ref: false })])) return [];
  return lend((client) => disturbBlockersOf(client, backendPid(waiter)));
}

/** On a busy machine the wait may be over before the look: then the blockers of the previous attempt are the best answer. */
const latest = (before: readonly Blocker[], seen: readonly Blocker[]): readonly Blocker[] =>
  seen.length > 0 ? seen : before;

/** What a retry loop needs from the step that runs it. */
export interface Patience {
  pause(ms: number): Promise<void>;
  beat(progress: { waitingFor: string }): void;
}

/**
 * A patience that ends: after waiting for `ms` milliseconds in total without `renew`, it throws what `giveUp` makes
 * of the last wait.
 */
export function limited(
  patience: Patience,
  ms: number,
  giveUp: (waitingFor: string) => Error,
): Patience & { renew(): void } {
  let since: number | null = null;
  let last = "";
  return {
    beat: (progress) => {
      since ??= Date.now();
      last = progress.waitingFor;
      patience.beat(progress);
    },
    pause: async (pause) => {
      if (since !== null && Date.now() > since + ms) throw giveUp(last);
      await patience.pause(pause);
    },
    renew: () => (since = null),
  };
}

/** Milliseconds until the next try: grows to a second, with jitter, so that two of us do not stay in step. */
export const backoffMs = (attempt: number): number =>
  Math.min(1000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);

/**
 * Runs a statement that needs a lock on live tables: with a short lock timeout and retries, since everybody
 * else queues behind a lock request that waits (an insert waited 3.2 s behind one). Without `lend`, blockers are not
 * looked up.
 */
export async function withLockRetry(
  client: ClientBase,
  sql: string,
  patience: Patience,
  lend: Lend | null,
): Promise<void> {
  let blockers: readonly Blocker[] = [];
  for (let attempt = 0; ; attempt++) {
    // One round trip, one transaction.
    const done = client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${sql}`);
    const watching = lend ? blockersDuring(client, done, lend) : Promise.resolve([]);
    watching.catch(() => undefined);
    try {
      await done;
      return;
    } catch (error) {
      if (!hasSqlstate(error, SQLSTATE.lockNotAvailable)) throw error;
    }
    blockers = latest(blockers, await watching);
    patience.beat({ waitingFor: describeBlockers(blockers) });
    await patience.pause(backoffMs(attempt));
  }
}

/**
 * Runs a transaction that makes others queue behind none of its locks for longer than LOCK_TIMEOUT_MS; it is
 * rolled back and run again until it gets them all, or the patience ends.
 */
export async function withLocks<T>(
  client: ClientBase,
  work: () => Promise<T>,
  patience: Patience,
  lend: Lend,
): Promise<T> {
  let blockers: readonly Blocker[] = [];
  for (let attempt = 0; ; attempt++) {
    await client.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const done = work().then(async (result) => {
      await client.query("COMMIT");
      return result;
    });
    const watching = blockersDuring(client, done, lend);
    watching.catch(() => undefined);
    try {
      return await done;
    } catch (error) {
      // A lost connection has rolled back; the first error says more.
      await client.query("ROLLBACK").catch(() => undefined);
      if (!lockNotGranted(error)) throw error;
    }
    blockers = latest(blockers, await watching);
    patience.beat({ waitingFor: describeBlockers(blockers) });
    await patience.pause(backoffMs(attempt));
  }
}
