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
 * Locks the source, waits until the destination is in step, and switches; tries again until this succeeds, is
 * aborted, or can no longer succeed. First it ends the sessions of an earlier attempt and looks up what that has
 * done: a switch that has passed its point of no return is finished, never undone.
 */
export async function lockAndSwitch(step: MoveStep, input: SwitchInput): Promise<SwitchReport> {
  const finished = await settleSwitch(step, input);
  if (finished) return finished;
  try {
    return await switchWhenFree(step, input);
  } catch (error) {
    // Wherever the error came from, only the book of switches knows whether the shard has left the source.
    const rolledForward = await settleSwitch(step, input);
    if (rolledForward) return rolledForward;
    throw error;
  }
}

/**
 * Finishes a switch if the shard has left the source. Null if it has not; then it never will, because all sessions of
 * earlier attempts are ended before looking: one of them may have been about to commit.
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

/** What earlier tries amount to. */
interface Tried {
  attempts: number;
  writeBlockedMs: number;
}

/** Tries until it succeeds; null when new sessions are needed. */
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
