import { type Blocker, describeBlockers } from "../../../src/postgres/blockers.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import { backendPid } from "../../../src/postgres/session.ts";
import type { SwitchStatement } from "../../attempt/fault-points.ts";
import { lateViews } from "../parts/copy-locked.ts";
import type { MoveStep } from "../parts/step.ts";
import type { BlockedTime } from "./blocked-time.ts";
import { lockAndRead } from "./lock.ts";
import type { SwitchSessions } from "./sessions.ts";
import {
  allEndTelling,
  areViewsFresh,
  beginDestination,
  commitSource,
  completeDestination,
  copyUnderLock,
  handOverSequences,
  keepingAlive,
  keepingDestinationAlive,
  leaveSource,
  setDestinationSequences,
  untilAnswered,
} from "./under-lock.ts";

export type AttemptResult =
  | { done: true }
  /** `spent` if its sessions may no longer be usable: a timeout in the middle of a COPY ends them. */
  | { done: false; blockedMs: number; reason: string; blockers: Blocker[]; spent: boolean };

/** An answer that is older than this no longer shows that the destination is alive. */
const STALE_MS = 50;

/**
 * One attempt of the switch, in as few round trips as its order allows, since the islands may be far away: four, and
 * those of the tables that are copied under the lock. Writers are blocked from 1, where they queue behind the request for
 * the lock, to 4:
 *
 *   1. lock and read            source        tables and sequences, all or nothing, within 100 ms; nothing has changed since
 *                                             the structure was copied; position, and values of the sequences
 *      begin                    destination   open transaction: recorded
 *      (copy                    destination   wait until applied, then the tables that cannot be replicated)
 *      (compare                 both          wait until applied, then the rows that changed whenever they were compared)
 *   2. complete the destination destination   wait until applied; all tables in step; triggers, comment, active
 *      set sequences            destination   committed at once: durable before 3
 *      leave                    source        inactive, recorded, fenced, renamed
 *   3. commit                   source        the point of no return
 *   4. commit                   destination   active again
 *
 * Until 3, any failure means that nothing has happened; after it, the next attempt rolls forward. A rehearsal goes no further
 * than 2, and rolls back. The sequences that 2 has set are those of a copy that nobody uses yet.
 */
export async function switchOnce(sessions: SwitchSessions, blocked: BlockedTime): Promise<AttemptResult> {
  const { destination } = sessions;
  const at = betweenFaultPoints(sessions.step);
  const notYet = async (reason: string, { blockers = [] as Blocker[], spent = false } = {}) => {
    const { blockedMs, unseen } = await letGo(sessions, blocked);
    return { done: false, blockedMs, reason, blockers, spent: spent || unseen } as const;
  };

  let [leaving, left] = [false, false];
  try {
    // 1.
    const [locked] = await at("lock", () => {
      blocked.requested();
      return keepingDestinationAlive(sessions, () =>
        allEndTelling([lockAndRead(sessions), at("begin destination", () => beginDestination(sessions))]),
      );
    });
    if (Array.isArray(locked)) return await notYet(describeBlockers(locked), { blockers: locked });
    if (!(await areViewsFresh(sessions)))
      return await notYet("a materialized view to be refreshed that the source has refreshed just now");
    const deadline = Date.now() + sessions.maxWriteBlockMs;
    await at("copy", () => copyUnderLock(sessions, locked, deadline));
    const { changing } = sessions;
    const same =
      changing === null ||
      (await keepingAlive(sessions, () => changing.run(locked.position, deadline - Date.now())));
    if (!same) return await notYet("a moment to compare the rows that keep changing");
    // 2.
    const handOvers = handOverSequences(sessions, locked);
    let completedAt = 0;
    await keepingAlive(sessions, () =>
      allEndTelling([
        at("complete destination", () => completeDestination(sessions, locked, deadline)).then(
          () => (completedAt = Date.now()),
        ),
        at("set sequences", () => setDestinationSequences(sessions, handOvers)),
        at("leave source", () => leaveSource(sessions, locked, handOvers)),
      ]),
    );
    if (Date.now() > deadline) return await notYet(tooSlow(sessions));
    if (sessions.rehearsal) {
      await letGo(sessions, blocked);
      return { done: true };
    }
    // Notices a destination that has died in the meantime while there is still a way back.
    if (Date.now() - completedAt > STALE_MS) await destination.query("SELECT");
    leaving = true;
    // 3.
    const { answered } = await at("commit source", () => commitSource(sessions, locked, handOvers));
    left = true;
    // 4.
    await at("commit destination", () => destination.query("COMMIT").then(() => blocked.released()));
    await untilAnswered(sessions, answered);
    return { done: true };
  } catch (error) {
    if (hasSqlstate(error, SQLSTATE.changesNotApplied))
      return notYet(`the subscription to catch up: not within ${sessions.maxWriteBlockMs} ms`);
    if (!leaving && hasSqlstate(error, SQLSTATE.queryCanceled, SQLSTATE.lockNotAvailable))
      return notYet(tooSlow(sessions), { spent: true });
    const unlocked = await rollback(sessions);
    if (unlocked && !left) blocked.released();
    throw error;
  }
}

const tooSlow = (sessions: SwitchSessions): string =>
  `a moment in which the switch takes less than ${sessions.maxWriteBlockMs} ms (it copies ${sessions.step.input.plan.lockedCopies.length} tables under the lock, and refreshes ${lateViews(sessions.facts).length} materialized views)`;

/** Lets go of the lock without having switched. `unseen` if the source has not confirmed it: its session is ended then. */
async function letGo(
  sessions: SwitchSessions,
  blocked: BlockedTime,
): Promise<{ blockedMs: number; unseen: boolean }> {
  if (await rollback(sessions)) return { blockedMs: blocked.released(), unseen: false };
  await sessions.sourceObserver.query("SELECT pg_terminate_backend($1, 5000)", [backendPid(sessions.source)]);
  return { blockedMs: blocked.lost({ left: false }), unseen: true };
}

/**
 * Ends both transactions if they are still open; if the commit has succeeded, this changes nothing. Returns true if the
 * source has confirmed that its lock is gone.
 */
async function rollback({ source, destination }: SwitchSessions): Promise<boolean> {
  const [unlocked] = await Promise.allSettled([
    source.query("ROLLBACK; SELECT pg_advisory_unlock_all()"),
    destination.query("ROLLBACK"),
  ]);
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
