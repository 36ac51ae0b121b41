import type pg from "pg";

import { allEnd } from "../../../src/all-end.ts";
import { activateSql } from "../../../src/postgres/api/shards.ts";
import { recordArrivalSql, waitUntilLeft } from "../../../src/postgres/api/switches.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import { LOCK_TIMEOUT_MS } from "../../../src/postgres/locks.ts";
import { untilAppliedSql } from "../../../src/postgres/replication/position.ts";
import { readViewVersions } from "../../../src/postgres/schema/materialized-views.ts";
import { rowsOfEach, whileLooking } from "../../../src/postgres/session.ts";
import {
  type HandOver,
  handOver,
  lateSequences,
  liftSequences,
  noneLateSql,
  setSequences,
} from "../../../src/sequences/hand-over.ts";
import { completeSchema } from "../parts/complete-schema.ts";
import { copyLocked, lateViews } from "../parts/copy-locked.ts";
import { ensureReplicated, replicatedChecks } from "../parts/guards.ts";
import type { Locked } from "./lock.ts";
import type { SwitchSessions } from "./sessions.ts";
import { beginArrival, leave } from "./statements.ts";

/** Waits for all. Of several errors, a timeout says less than any other, and the refusals that follow an error say nothing. */
export const allEndTelling = <const Work extends readonly Promise<unknown>[]>(
  work: Work,
): ReturnType<typeof allEnd<Work>> => allEnd(work, insignificance);

const insignificance = (error: unknown): number =>
  [SQLSTATE.queryCanceled, SQLSTATE.inFailedTransaction].findIndex((state) => hasSqlstate(error, state));

/** Opens the destination's transaction, and does whatever does not depend on the source while the source is being locked. */
export async function beginDestination({ step, destination, ...sessions }: SwitchSessions): Promise<void> {
  const { destinationApiSchema: apiSchema, entry, maxWriteBlockMs } = sessions;
  const [begin, ...arrival] = beginArrival(apiSchema, entry, step.from);
  const limit = `SET LOCAL statement_timeout = ${maxWriteBlockMs}`;
  await destination.query([begin, limit, ...arrival].join(";\n"));
}

/** Milliseconds between two signs of life to a transaction, whose idle timeout is short. */
const ALIVE_MS = 600;

/** Runs work of either side that may take long, with signs of life to Temporal and to both transactions. */
export const keepingAlive = <T>(
  { step, source, sourceWatcher, destination }: SwitchSessions,
  work: () => Promise<T>,
  note = "writers are blocked while the destination applies their last changes",
): Promise<T> => {
  // Not in the session of the lock, which is busy for seconds if it limits tens of thousands of sequences.
  const look = async (): Promise<void> => {
    await sourceWatcher.query("SELECT");
    step.attempt.beat({ note });
  };
  const poke = (client: pg.Client) => () => client.query("SELECT");
  return whileLooking(ALIVE_MS, [look, poke(source), poke(destination)], work);
};

/** The same while the source is being locked, which takes seconds for tens of thousands of tables and sequences. */
export const keepingDestinationAlive = <T>(
  { step, sourceWatcher, destination }: SwitchSessions,
  work: () => Promise<T>,
): Promise<T> => {
  const look = async (): Promise<void> => {
    await allEnd([sourceWatcher.query("SELECT"), destination.query("SELECT")]);
    step.attempt.beat({ note: "locking the source" });
  };
  return whileLooking(LOCKING_MS, [look], work);
};

/** Milliseconds between two such signs: usually it is locked before the first. */
const LOCKING_MS = 1000;

/** Whether the materialized views on the destination are those of the source, where nobody can refresh them now. */
export async function areViewsFresh({ step, facts, views, source }: SwitchSessions): Promise<boolean> {
  if (facts.views.length === 0) return true;
  const now = await readViewVersions(source, step.schema);
  for (const view of facts.views) view.populated = now.get(view.name)?.populated ?? view.populated;
  return facts.views.every(({ name, late }) => late || views[name] === now.get(name)?.version);
}

const untilApplied = ({ step }: SwitchSessions, { position }: Locked, deadline: number): string =>
  untilAppliedSql(step.replicationName, position, deadline - Date.now());

/** Copies the tables that are copied under the lock, once all others are in step. */
export async function copyUnderLock(
  sessions: SwitchSessions,
  locked: Locked,
  deadline: number,
): Promise<void> {
  const { step, facts, source, destination } = sessions;
  if (step.input.plan.lockedCopies.length === 0 && lateViews(facts).length === 0) return;
  await keepingAlive(sessions, () => destination.query(untilApplied(sessions, locked, deadline)));
  await ensureReplicated(step, facts, destination);
  await copyLocked(step, facts, source, destination, step.schema);
}

/**
 * Does everything in the destination's transaction except the commit: waits until the last changes are applied, checks
 * that every table is in step, and activates the shard. One round trip.
 */
export async function completeDestination(
  sessions: SwitchSessions,
  locked: Locked,
  deadline: number,
): Promise<void> {
  const { step, facts, destination, destinationApiSchema: apiSchema, entry } = sessions;
  const checks = replicatedChecks(step, facts);
  const done = [
    recordArrivalSql(apiSchema, entry.schema),
    ...completeSchema(step, facts),
    activateSql(apiSchema, entry.shard),
  ];
  const sql = [untilApplied(sessions, locked, deadline), ...checks.map((check) => check.sql), ...done];
  const answers = await rowsOfEach(destination, sql);
  checks.forEach(({ verify }, i) => verify(answers[1 + i]!));
}

export const handOverSequences = (
  { step, facts }: SwitchSessions,
  { values, waitedFor }: Locked,
): HandOver[] =>
  facts.sequences.map((sequence, i) =>
    handOver(step.schema, sequence, values[i]!, waitedFor.has(sequence.name)),
  );

const fencesOf = (handOvers: readonly HandOver[]): string[] => handOvers.map(({ fence }) => fence);

/** In a transaction of its own, which is finished and on disk before the shard leaves the source. */
export async function setDestinationSequences(
  { step, facts, destinationObserver, maxWriteBlockMs }: SwitchSessions,
  handOvers: readonly HandOver[],
): Promise<void> {
  if (handOvers.length === 0) return;
  const values = handOvers.map(({ destination }) => destination);
  // Those of an old copy are fenced, and somebody may still use them.
  const limits = step.input.wayBack
    ? [
        `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL statement_timeout = ${maxWriteBlockMs}`,
        ...liftSequences(step.schema, facts.sequences, values),
      ]
    : [];
  await destinationObserver.query([...limits, setSequences(step.schema, values)].join(";\n"));
}

/** Lets the shard leave the source, in the transaction that holds the lock: inactive, recorded, fenced and renamed. */
export async function leaveSource(
  sessions: SwitchSessions,
  { position }: Locked,
  handOvers: readonly HandOver[],
): Promise<void> {
  const { step, facts, leftover, source } = sessions;
  const { reachable } = facts;
  const statements = leave(sessions.sourceApiSchema, sessions.entry, {
    peer: step.to,
    leftover,
    switchLsn: position,
    reachable,
    sequenceFences: fencesOf(handOvers),
  });
  await source.query(statements.join(";\n"));
}

/** Generous, since the total time has been checked before: if the last statement is cut off, its outcome is unknown. */
const COMMIT_LIMIT = "SET LOCAL statement_timeout = '5s'";

/** From this many fences on, another session sees the commit before its answer comes. */
const MANY_FENCES = 50;
/** The other session stops looking after this time, in case the commit has failed. */
const LOOK_MS = 2000;

/**
 * Commits the source, and returns as soon as that is done. PostgreSQL answers only after it has also removed the files that
 * the fences of sequences have replaced, 0.1 ms or more for each: so with many of them another session looks for what was
 * committed. `answered` ends with the answer.
 */
export async function commitSource(
  sessions: SwitchSessions,
  locked: Locked,
  handOvers: readonly HandOver[],
): Promise<{ answered: Promise<unknown> }> {
  const { sourceObserver, sourceApiSchema, entry } = sessions;
  const commit = commitUnlessLate(sessions, locked, handOvers);
  const answered = commit.catch(() => undefined);
  const seen = async (): Promise<unknown> =>
    (await waitUntilLeft(sourceObserver, sourceApiSchema, entry, LOOK_MS)) || commit;
  await (handOvers.length < MANY_FENCES ? commit : Promise.race([commit, seen().catch(() => commit)]));
  return { answered };
}

/**
 * Commits the source. Sessions that have begun to wait for a sequence since it was handed over would find the old copy
 * exhausted: so in the same round trip they are looked for once more, as late as possible, and if there are any, values are
 * left to them, and the commit is tried again.
 */
async function commitUnlessLate(
  sessions: SwitchSessions,
  { values, waitedFor }: Locked,
  handOvers: readonly HandOver[],
): Promise<void> {
  const { facts, source, leftover } = sessions;
  if (handOvers.length === 0) return void (await source.query(`${COMMIT_LIMIT}; COMMIT`));
  const known = new Set(waitedFor);
  for (;;) {
    const sql = [COMMIT_LIMIT, "SAVEPOINT before_commit", noneLateSql(leftover, [...known]), "COMMIT"];
    try {
      return void (await source.query(sql.join(";\n")));
    } catch (error) {
      const late = lateSequences(error);
      if (!late) throw error;
      const shares = facts.sequences.flatMap((sequence, i) =>
        late.has(sequence.name) ? [handOver(leftover, sequence, values[i]!, true)] : [],
      );
      await allEndTelling([
        setDestinationSequences(sessions, shares),
        source.query(["ROLLBACK TO before_commit", ...fencesOf(shares)].join(";\n")),
      ]);
      for (const name of late) known.add(name);
    }
  }
}

/** Waits for the answer to a commit that others have seen. */
export const untilAnswered = (sessions: SwitchSessions, answered: Promise<unknown>): Promise<unknown> =>
  keepingAlive(
    sessions,
    () => answered,
    "the source removes the files that the limits of its sequences have replaced",
  );
