import { activateSql } from "../../../src/postgres/api/shards.ts";
import { flushedPosition, waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { schemaFingerprint } from "../../../src/postgres/schema/fingerprint.ts";
import { readSchema } from "../../../src/postgres/schema/tables.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/sqlstate.ts";
import {
  type HandOver,
  handOver,
  readSequenceValues,
  sequencesWaitedFor,
  type SequenceValue,
  setSequences,
} from "../../../src/sequences/hand-over.ts";
import type { SwitchStatement } from "../../attempt/fault-points.ts";
import { completeSchema } from "../parts/complete-schema.ts";
import { copyLocked } from "../parts/copy-locked.ts";
import { ensurePublished, ensureReplicated } from "../parts/guards.ts";
import type { MoveStep } from "../parts/step.ts";
import { SchemaChangedError } from "../parts/structure.ts";
import { lockEverything } from "./lock.ts";
import type { SwitchSessions } from "./sessions.ts";
import { beginArrival, leave } from "./statements.ts";

export type AttemptResult =
  | { done: true; blockedMs: number }
  /** `spent` when its sessions may be of no more use: a timeout in the middle of a COPY ends them. */
  | { done: false; blockedMs: number; reason: string; spent: boolean };

/**
 * One attempt of the switch. Writers are blocked from the grant of the lock to the commit on the source:
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
 * Until 7 any failure means that nothing has happened; after it the next attempt rolls forward.
 */
export async function switchOnce(plan: SwitchSessions): Promise<AttemptResult> {
  const { step, source, destination } = plan;
  const startedAt = performance.now();
  const blockedMs = (): number => Math.round(performance.now() - startedAt);
  const notYet = async (reason: string, spent = false): Promise<AttemptResult> => {
    await rollback(plan);
    return { done: false, blockedMs: blockedMs(), reason, spent };
  };

  const blockers = await at(step, "lock", () => lockEverything(plan));
  if (blockers) return { done: false, blockedMs: blockedMs(), reason: blockers, spent: false };
  const deadline = Date.now() + plan.maxWriteBlockMs;
  let leaving = false;
  try {
    const [[position, values]] = await bothEnd([
      at(step, "read", () => readUnderLock(plan)),
      at(step, "begin destination", () => beginDestination(plan)),
    ]);
    if (!(await at(step, "wait", () => waitUnderLock(plan, position, deadline))))
      return await notYet(`the subscription to catch up: not within ${plan.maxWriteBlockMs} ms`);
    await at(step, "complete destination", () => completeDestination(plan));
    const handOvers = await handOverSequences(plan, values);
    await bothEnd([
      at(step, "set sequences", () => setDestinationSequences(plan, handOvers)),
      at(step, "leave source", () => leaveSource(plan, position, handOvers)),
    ]);
    if (Date.now() > deadline) return await notYet(tooSlow(plan));
    // A destination that died meanwhile is noticed while there is still a way back.
    await bothEnd([destination.query("SELECT"), reserveForLate(plan, values, handOvers)]);
    leaving = true;
    await at(step, "commit source", () => source.query("COMMIT"));
    const blocked = blockedMs();
    await at(step, "commit destination", () => destination.query("COMMIT"));
    return { done: true, blockedMs: blocked };
  } catch (error) {
    if (!leaving && hasSqlstate(error, SQLSTATE.queryCanceled)) return notYet(tooSlow(plan), true);
    await rollback(plan);
    throw error;
  }
}

const tooSlow = (plan: SwitchSessions): string =>
  `a moment in which the switch takes less than ${plan.maxWriteBlockMs} ms (it copies ${plan.step.input.plan.lockedCopies.length} tables under the lock)`;

/** Ends both transactions if they are still open; when the commit went through, this changes nothing. */
async function rollback({ source, destination }: SwitchSessions): Promise<void> {
  await Promise.allSettled([source.query("ROLLBACK"), destination.query("ROLLBACK")]);
}

/**
 * Waits for both: what is left of a failed attempt must not run into the next one, which uses the same sessions. Of
 * two failures it throws the one that tells more.
 */
async function bothEnd<A, B>(work: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  const results = await Promise.allSettled(work);
  const failures = results.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
  if (failures.length > 0) throw failures.sort((a, b) => insignificance(a) - insignificance(b))[0]!;
  return Promise.all(work);
}

/** A timeout says less than any other error, and the refusals that follow one in its transaction say nothing. */
const insignificance = (error: Error): number =>
  [SQLSTATE.queryCanceled, SQLSTATE.inFailedTransaction].findIndex((state) => hasSqlstate(error, state));

/** Runs one statement of the switch between its two fault points. */
async function at<T>(step: MoveStep, name: SwitchStatement, run: () => Promise<T>): Promise<T> {
  await step.attempt.deps.fault(`before ${name}`);
  const result = await run();
  await step.attempt.deps.fault(`after ${name}`);
  return result;
}

/** The position that the destination has to reach, and the values of the sequences; nobody can write now. */
const readUnderLock = (plan: SwitchSessions): Promise<[string, SequenceValue[]]> =>
  bothEnd([readPosition(plan), readSource(plan)]);

async function readPosition({ step, facts, sourceObserver }: SwitchSessions): Promise<string> {
  const position = await flushedPosition(sourceObserver);
  await ensurePublished(step, facts, sourceObserver);
  return position;
}

async function readSource({ step, facts, source }: SwitchSessions): Promise<SequenceValue[]> {
  if ((await schemaFingerprint(source, step.schema)) !== step.input.fingerprint) {
    throw new SchemaChangedError(step.schema, step.from, false);
  }
  // The weight factor stands there, and may have been changed while the lock was waited for.
  facts.comment = (await readSchema(source, step.schema)).comment;
  return readSequenceValues(source, step.schema, facts.sequences);
}

/** Waits with a sign of life to both open transactions, whose idle timeouts are short, and to Temporal. */
async function waitUnderLock(plan: SwitchSessions, position: string, deadline: number): Promise<boolean> {
  const { step, source, destination, destinationObserver } = plan;
  return waitUntilApplied(destinationObserver, step.replicationName, position, deadline, async () => {
    await Promise.all([source.query("SELECT"), destination.query("SELECT")]);
    step.attempt.beat({ note: "writers are blocked: the destination applies their last changes" });
  });
}

/** Opens the destination's transaction; what does not depend on the source is done while that is being read. */
async function beginDestination({ step, destination, ...plan }: SwitchSessions): Promise<void> {
  const { destinationApiSchema: apiSchema, entry, maxWriteBlockMs } = plan;
  const [begin, ...arrival] = beginArrival(apiSchema, entry, step.from);
  const limit = `SET LOCAL statement_timeout = ${maxWriteBlockMs}`;
  await destination.query([begin, limit, ...arrival].join(";\n"));
}

/** Does everything in the destination's transaction but the commit. */
async function completeDestination(plan: SwitchSessions): Promise<void> {
  const { step, facts, destination, destinationApiSchema: apiSchema, entry } = plan;
  await ensureReplicated(step, facts, destination);
  await copyLocked(step, facts, plan.source, destination, step.schema);
  await destination.query(
    [...completeSchema(step.schema, facts), activateSql(apiSchema, entry.shard)].join(";\n"),
  );
}

async function handOverSequences(
  plan: SwitchSessions,
  values: readonly SequenceValue[],
): Promise<HandOver[]> {
  const { step, facts, sourceObserver } = plan;
  if (values.length === 0) return [];
  const waitedFor = await sequencesWaitedFor(sourceObserver, step.schema);
  return facts.sequences.map((sequence, i) =>
    handOver(step.schema, sequence, values[i]!, waitedFor.has(sequence.name)),
  );
}

/**
 * Leaves values to those, too, who have begun to wait for a sequence since it was handed over: they would find the old
 * copy exhausted. Asked as late as possible, since who comes after this and before the commit still does.
 */
async function reserveForLate(
  plan: SwitchSessions,
  values: readonly SequenceValue[],
  handOvers: readonly HandOver[],
): Promise<void> {
  const { step, facts, source, sourceObserver, leftover } = plan;
  if (handOvers.every(({ waitedFor }) => waitedFor)) return;
  const waitedFor = await sequencesWaitedFor(sourceObserver, step.schema);
  const late = facts.sequences.flatMap((sequence, i) =>
    waitedFor.has(sequence.name) && !handOvers[i]!.waitedFor
      ? [handOver(leftover, sequence, values[i]!, true)]
      : [],
  );
  if (late.length > 0)
    await bothEnd([setDestinationSequences(plan, late), source.query(fencesOf(late).join(";\n"))]);
}

const fencesOf = (handOvers: readonly HandOver[]): string[] =>
  handOvers.flatMap(({ fence }) => (fence === null ? [] : [fence]));

/** In a transaction of its own, which is over and on disk before the source leaves. */
async function setDestinationSequences(plan: SwitchSessions, handOvers: readonly HandOver[]): Promise<void> {
  if (handOvers.length === 0) return;
  const values = handOvers.map(({ destination }) => destination);
  await plan.destinationObserver.query(setSequences(plan.step.schema, values).join(";\n"));
}

async function leaveSource(
  plan: SwitchSessions,
  switchLsn: string,
  handOvers: readonly HandOver[],
): Promise<void> {
  const { step, facts, leftover, source } = plan;
  const { reachable } = facts;
  const statements = leave(plan.sourceApiSchema, plan.entry, {
    peer: step.to,
    leftover,
    switchLsn,
    reachable,
    sequenceFences: fencesOf(handOvers),
  });
  await source.query(statements.join(";\n"));
}
