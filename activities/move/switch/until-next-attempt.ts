import { duration } from "../../../src/format.ts";
import { describeBlockers } from "../../../src/postgres/blockers.ts";
import { backoffMs } from "../../../src/postgres/locks.ts";
import { POLL_MS } from "../../attempt/poll.ts";
import type { BlockedTime } from "./blocked-time.ts";
import type { Blockers } from "./blockers.ts";
import type { SwitchSessions } from "./sessions.ts";
import type { AttemptResult } from "./switch-once.ts";

/** Milliseconds until the next attempt while what was in its way may still be there: grows to 30 to 60 s. */
const longBackoffMs = (attempt: number): number =>
  Math.min(60_000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);

const budgetSpent = (seconds: number, wait: number): string =>
  `the budget of blocked time: all ${seconds} s per 10 min are used (--max-write-block-budget-sec); the next attempt comes in ${duration(wait)}`;

/** Waits for what earlier attempts of this step have used up of the budget, should one of them have failed or died. */
export async function untilBudgetAllows(
  { step: { attempt }, sourceObserver, maxWriteBlockBudgetSec }: SwitchSessions,
  blocked: BlockedTime,
): Promise<void> {
  for (let wait; (wait = blocked.budgetWaitMs(1000 * maxWriteBlockBudgetSec)) > 0;) {
    await sourceObserver.query("SELECT");
    attempt.beat({ waitingFor: budgetSpent(maxWriteBlockBudgetSec, wait) });
    await attempt.pause(Math.min(POLL_MS, wait));
  }
}

/**
 * Waits before the next attempt, shows the sessions that it waits for, and ends those that block for too long. Checking
 * whether they are still there blocks nobody, so the wait ends early when all of them have gone. When the budget of blocked time is used up,
 * the wait lasts until some of it is free again.
 */
export async function untilNextAttempt(
  { step: { attempt }, sourceObserver, maxWriteBlockBudgetSec }: SwitchSessions,
  { reason, blockers: seen, blockedMs }: AttemptResult & { done: false },
  blocked: BlockedTime,
  blockers: Blockers,
): Promise<void> {
  const { attempts } = blocked.soFar;
  const note = `attempt ${attempts} blocked writers for ${blockedMs} ms`;
  blockers.saw(seen);
  attempt.beat({ waitingFor: reason, note });
  const soonest = Date.now() + backoffMs(attempts - 1);
  const latest = Date.now() + longBackoffMs(attempts - 1);
  const known = seen.length > 0 && seen.every(({ transaction }) => transaction !== null);
  for (;;) {
    const open = await blockers.look(sourceObserver);
    const wait = blocked.budgetWaitMs(1000 * maxWriteBlockBudgetSec);
    // Whoever has gone by the time that the next attempt may begin need not be ended.
    if (wait <= 0) for (const text of await blockers.endOverdue(sourceObserver)) blocked.ended(text);
    const who = open.length > 0 ? describeBlockers(open) : reason;
    const reasons = [
      wait > 0 ? budgetSpent(maxWriteBlockBudgetSec, wait) : "",
      who,
      blockers.trouble ?? "",
    ].filter((text) => text !== "");
    attempt.beat({ waitingFor: reasons.join("; "), note });
    const left = Math.max(wait, (known && open.length === 0 ? soonest : latest) - Date.now());
    if (left <= 0) return;
    await attempt.pause(Math.min(POLL_MS, left));
  }
}
