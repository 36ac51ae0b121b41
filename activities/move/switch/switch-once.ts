import { type Blocker, describeBlockers } from "../../../src/postgres/blockers.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import type { SwitchStatement } from "../../attempt/fault-points.ts";
import { lateViews } from "../parts/copy-locked.ts";
import type { MoveStep } from "../parts/step.ts";
import type { BlockedTime } from "./blocked-time.ts";
import { lockEverything } from "./lock.ts";
import type { SwitchSessions } from "./sessions.ts";
import {
  areViewsFresh,
  beginDestination,
  bothEnd,
  completeDestination,
  handOverSequences,
  leaveSource,
  readUnderLock,
  reserveForLate,
  setDestinationSequences,
  waitUnderLock,
} from "./under-lock.ts";

export type AttemptResult =
  | { done: true }
  /** `spent` if its sessions may no longer be usable: a timeout in the middle of a COPY ends them. */
  | { done: false; blockedMs: number; reason: string; blockers: Blocker[]; spent: boolean };

/**
 * One attempt of the switch. Writers are blocked from 1, where they queue behind the request for the lock, to 7:
 *
 *   1. lock tables and sequences      source        all or nothing, within 100 ms
 *   2. read position and sequences    source        nothing changed since the structure was copied
 *      meanwhile: begin               destination   open transaction: recorded
 *   3. wait until applied             destination
 *   4. complete the destination       destination   all tables in step; triggers, comment, active
 *   5. set sequences                  destination   committed at once: durable before 7
 *   6. leave                          source        inactive, recorded, fenced, renamed
 *   7. commit                         source        the point of no return
 *   8. commit                         destination   active again
 *
 * Until 7, any failure means that nothing has happened; after it, the next attempt rolls forward.
 */
export async function switchOnce(sessions: SwitchSessions, blocked: BlockedTime): Promise<AttemptResult> {
  const { source, destination } = sessions;
  const at = betweenFaultPoints(sessions.step);
  const notYet = async (reason: string, spent = false): Promise<AttemptResult> => {
    await rollback(sessions);
    return { done: false, blockedMs: blocked.released(), reason, blockers: [], spent };
  };

  let [leaving, left] = [false, false];
  try {
    // 1.
    const blockers = await at("lock", () => {
      blocked.requested();
      return lockEverything(sessions);
    });
    if (blockers) {
      const reason = describeBlockers(blockers);
      return { done: false, blockedMs: blocked.released(), reason, blockers, spent: false };
    }
    const deadline = Date.now() + sessions.maxWriteBlockMs;
    // 2.
    const [[position, values]] = await bothEnd([
      at("read", () => readUnderLock(sessions)),
      at("begin destination", () => beginDestination(sessions)),
    ]);
    if (!(await areViewsFresh(sessions)))
      return await notYet("a materialized view to be refreshed that the source has refreshed just now");
    // 3.
    if (!(await at("wait", () => waitUnderLock(sessions, position, deadline))))
      return await notYet(`the subscription to catch up: not within ${sessions.maxWriteBlockMs} ms`);
    // 4.
    await at("complete destination", () => completeDestination(sessions));
    // 5 and 6.
    const handOvers = await handOverSequences(sessions, values);
    await bothEnd([
      at("set sequences", () => setDestinationSequences(sessions, handOvers)),
      at("leave source", () => leaveSource(sessions, position, handOvers)),
    ]);
    if (Date.now() > deadline) return await notYet(tooSlow(sessions));
    // Notices a destination that has died in the meantime while there is still a way back.
    await bothEnd([destination.query("SELECT"), reserveForLate(sessions, values, handOvers)]);
    leaving = true;
    // 7.
    await at("commit source", () => source.query("COMMIT"));
    left = true;
    // 8.
    await at("commit destination", () => destination.query("COMMIT").then(() => blocked.released()));
    return { done: true };
  } catch (error) {
    if (!leaving && hasSqlstate(error, SQLSTATE.queryCanceled)) return notYet(tooSlow(sessions), true);
    const unlocked = await rollback(sessions);
    if (unlocked && !left) blocked.released();
    throw error;
  }
}

const tooSlow = (sessions: SwitchSessions): string =>
  `a moment in which the switch takes less than ${sessions.maxWriteBlockMs} ms (it copies ${sessions.step.input.plan.lockedCopies.length} tables under the lock, and refreshes ${lateViews(sessions.facts).length} materialized views)`;

/**
 * Ends both transactions if they are still open; if the commit has succeeded, this changes nothing. Returns true if the
 * source has confirmed that its lock is gone.
 */
async function rollback({ source, destination }: SwitchSessions): Promise<boolean> {
  const [unlocked] = await Promise.allSettled([source.query("ROLLBACK"), destination.query("ROLLBACK")]);
  return unlocked.status === "fulfilled";
}

/** Runs a statement of the switch between its two fault points. */
const betweenFaultPoints =
  ({ attempt: { deps } }: MoveStep) =>
  async <T>(name: SwitchStatement, run: () => Promise<T>): Promise<T> => {
    await deps.fault(`before ${name}`);
    const result = await run();
    await deps.fault(`after ${name}`);
    return result;
  };
