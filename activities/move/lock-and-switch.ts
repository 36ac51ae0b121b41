import type { MoveInput, SettleInput, SwitchInput, SwitchReport } from "../../contract/move.ts";
import { isReversible } from "../../contract/way-back.ts";
import { blockedFor, wereInTheWay } from "../../src/format.ts";
import { schemaFingerprint } from "../../src/postgres/schema/fingerprint.ts";
import { fenceSequences } from "../../src/sequences/hand-over.ts";
import { lookAtOutcome } from "./parts/book.ts";
import type { MoveStep } from "./parts/step.ts";
import { BlockedTime } from "./switch/blocked-time.ts";
import { Blockers } from "./switch/blockers.ts";
import { catchUp } from "./switch/catch-up.ts";
import { withSwitchSessions } from "./switch/open.ts";
import { rollForward } from "./switch/roll-forward.ts";
import type { SwitchSessions } from "./switch/sessions.ts";
import { switchOnce } from "./switch/switch-once.ts";
import { untilBudgetAllows, untilNextAttempt } from "./switch/until-next-attempt.ts";

/**
 * Locks the source, waits until the destination is in step, and switches; in a rehearsal, it lets go instead. Tries again
 * until this succeeds, is aborted, or can no longer succeed. First it ends the sessions of an earlier attempt and looks up
 * what that has done: a switch that has passed its point of no return is finished, never undone.
 */
export async function lockAndSwitch(step: MoveStep, input: SwitchInput): Promise<SwitchReport> {
  const blocked = new BlockedTime(step.attempt, input.move.maxWriteBlockMs);
  const finished = await settle(step, input, blocked);
  if (finished) return finished;
  try {
    return await switchWhenFree(step, input, blocked);
  } catch (error) {
    // Wherever the error came from, only the book of switches knows whether the shard has left the source.
    const rolledForward = await settle(step, input, blocked);
    if (rolledForward) return rolledForward;
    throw error;
  }
}

/**
 * Finishes a switch if the shard has left the source. Null if it has not; then it never will, because all sessions of
 * earlier attempts are ended before looking: one of them may have been about to commit.
 */
export const settleSwitch = (step: MoveStep, input: SettleInput): Promise<SwitchReport | null> =>
  settle(step, input, new BlockedTime(step.attempt, input.move.maxWriteBlockMs, input.blocked));

async function settle(
  step: MoveStep,
  input: SwitchInput,
  blocked: BlockedTime,
): Promise<SwitchReport | null> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const { left, arrived } = await lookAtOutcome(step);
  if (left && !arrived) {
    await rollForward(step, input.move.shard, left);
    blocked.finished();
  }
  blocked.lost({ left: left !== null });
  if (left) return report(step, input.move, left.leftover, blocked, "finished a switch that was interrupted");
  // An attempt that has not switched may have given the old copy's sequences their values.
  if (step.input.wayBack) await step.onDestination((client) => fenceSequences(client, step.schema));
  return null;
}

async function switchWhenFree(
  step: MoveStep,
  input: SwitchInput,
  blocked: BlockedTime,
): Promise<SwitchReport> {
  const blockers = new Blockers(input.move, blocked);
  for (;;) {
    const switched = await withSwitchSessions(step, input, (sessions) =>
      trySwitching(sessions, input.move, blocked, blockers),
    );
    if (switched) return switched;
  }
}

/** Tries until it succeeds; null when new sessions are needed. */
async function trySwitching(
  sessions: SwitchSessions,
  move: MoveInput,
  blocked: BlockedTime,
  blockers: Blockers,
): Promise<SwitchReport | null> {
  const { step } = sessions;
  for (;;) {
    step.attempt.throwIfCancelled();
    await untilBudgetAllows(sessions, blocked);
    await catchUp(sessions);
    await sessions.changing?.narrow();
    await blocked.announce();
    const result = await switchOnce(sessions, blocked);
    if (result.done)
      return sessions.rehearsal
        ? rehearsed(step, blocked)
        : report(step, move, sessions.leftover, blocked, "switched");
    await untilNextAttempt(sessions, result, blocked, blockers);
    if (result.spent) return null;
  }
}

async function report(
  step: MoveStep,
  move: MoveInput,
  leftover: string,
  blocked: BlockedTime,
  how: string,
): Promise<SwitchReport> {
  return {
    ...cost(`${how}: "${step.schema}" is active on ${step.to}`, blocked),
    leftover,
    copied: step.copiedUnderLock,
    fingerprint: isReversible(move)
      ? await step.onDestination((client) => schemaFingerprint(client, step.schema))
      : undefined,
  };
}

function rehearsed({ schema, from }: MoveStep, blocked: BlockedTime): SwitchReport {
  const { inTheWay: blockers = [] } = blocked.soFar;
  const { text, ...told } = cost(`rehearsed the switch: "${schema}" is still active on ${from}`, blocked);
  // Last: they may be long.
  return { text: [text, ...wereInTheWay(blockers)].join("; "), ...told, blockers, leftover: null };
}

/** What a switch, or its rehearsal, has cost the writers. */
function cost(text: string, blocked: BlockedTime): Omit<SwitchReport, "leftover"> {
  const { attempts, longestMs, totalMs, atMost, endedBlockers = [] } = blocked.soFar;
  const writeBlocked = { attempts, longestMs, totalMs, atMost };
  const told = `${text}; writers were blocked for ${blockedFor(writeBlocked)}`;
  return {
    text: [told, ...endedBlockers].join("; "),
    writeBlockedMs: longestMs,
    writeBlocked,
    endedBlockers,
  };
}
