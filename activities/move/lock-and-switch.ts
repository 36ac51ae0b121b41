import type { SwitchInput, SwitchReport } from "../../contract/move.ts";
import { backoffMs } from "../../src/postgres/locks.ts";
import { lookAtOutcome } from "./parts/book.ts";
import type { MoveStep } from "./parts/step.ts";
import { catchUp } from "./switch/catch-up.ts";
import { withSwitchSessions } from "./switch/open.ts";
import { rollForward } from "./switch/roll-forward.ts";
import type { SwitchSessions } from "./switch/sessions.ts";
import { switchOnce } from "./switch/switch-once.ts";

/**
 * Locks the source, waits until the destination is in step, and switches; tries again until it works, is
 * aborted, or cannot work any more. What an earlier attempt has done is looked up first, after its
 * sessions are ended: a switch that passed its point of no return is finished, never undone.
 */
export async function lockAndSwitch(step: MoveStep, input: SwitchInput): Promise<SwitchReport> {
  const finished = await settleSwitch(step, input);
  if (finished) return finished;
  try {
    return await switchWhenFree(step, input);
  } catch (error) {
    // Whatever went wrong, and wherever: only the book of switches knows whether the source has left.
    const rolledForward = await settleSwitch(step, input);
    if (rolledForward) return rolledForward;
    throw error;
  }
}

/**
 * Finishes a switch whose source has left; null when it has not, and then it never will: all sessions of
 * earlier attempts are ended before the look, since one of them may have been about to commit.
 */
export async function settleSwitch(step: MoveStep, input: SwitchInput): Promise<SwitchReport | null> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const { left, arrived } = await lookAtOutcome(step);
  if (!left) return null;
  if (!arrived) await rollForward(step, input.move.shard, left);
  return report(step, left.leftover, 0, "finished a switch that was interrupted");
}

async function switchWhenFree(step: MoveStep, input: SwitchInput): Promise<SwitchReport> {
  const tried: Tried = { attempts: 0, writeBlockedMs: 0 };
  for (;;) {
    const switched = await withSwitchSessions(step, input, (sessions) => trySwitching(sessions, tried));
    if (switched) return switched;
  }
}

/** What earlier attempts have come to. */
interface Tried {
  attempts: number;
  writeBlockedMs: number;
}

/** Tries until it works; null when that takes new sessions. */
async function trySwitching(sessions: SwitchSessions, tried: Tried): Promise<SwitchReport | null> {
  const { step } = sessions;
  for (;;) {
    step.attempt.throwIfCancelled();
    await catchUp(sessions);
    const result = await switchOnce(sessions);
    tried.writeBlockedMs = Math.max(tried.writeBlockedMs, result.blockedMs);
    if (result.done) return report(step, sessions.leftover, tried.writeBlockedMs, "switched");
    step.attempt.beat({
      waitingFor: result.reason,
      note: `attempt ${++tried.attempts} blocked writers for ${result.blockedMs} ms`,
    });
    await step.attempt.pause(backoffMs(tried.attempts - 1));
    if (result.spent) return null;
  }
}

const report = (step: MoveStep, leftover: string, writeBlockedMs: number, how: string): SwitchReport => ({
  text: `${how}: "${step.schema}" is active on ${step.to}; writers were blocked for ${writeBlockedMs} ms`,
  writeBlockedMs,
  leftover,
});
