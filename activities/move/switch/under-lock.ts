import { allEnd } from "../../../src/all-end.ts";
import { activateSql } from "../../../src/postgres/api/shards.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import { flushedPosition, waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { readViewVersions } from "../../../src/postgres/schema/materialized-views.ts";
import { readSchema } from "../../../src/postgres/schema/tables.ts";
import {
  type HandOver,
  handOver,
  readSequenceValues,
  sequencesWaitedFor,
  setSequences,
} from "../../../src/sequences/hand-over.ts";
import type { SequenceValue } from "../../../src/sequences/share-out.ts";
import { completeSchema } from "../parts/complete-schema.ts";
import { copyLocked } from "../parts/copy-locked.ts";
import { ensurePublished, ensureReplicated } from "../parts/guards.ts";
import { ensureUnchanged } from "../parts/structure.ts";
import type { SwitchSessions } from "./sessions.ts";
import { beginArrival, leave } from "./statements.ts";

/** Waits for both. A timeout says less than any other error, and the refusals that follow an error say nothing. */
export const bothEnd = <A, B>(work: [Promise<A>, Promise<B>]): Promise<[A, B]> =>
  allEnd(work, insignificance);

const insignificance = (error: unknown): number =>
  [SQLSTATE.queryCanceled, SQLSTATE.inFailedTransaction].findIndex((state) => hasSqlstate(error, state));

/** The position that the destination has to reach, and the values of the sequences; nobody can write now. */
export const readUnderLock = (sessions: SwitchSessions): Promise<[string, SequenceValue[]]> =>
  bothEnd([readPosition(sessions), readSource(sessions)]);

async function readPosition({ step, facts, sourceObserver }: SwitchSessions): Promise<string> {
  const position = await flushedPosition(sourceObserver);
  await ensurePublished(step, facts, sourceObserver);
  return position;
}

async function readSource({ step, facts, source }: SwitchSessions): Promise<SequenceValue[]> {
  await ensureUnchanged(step, source);
  // It contains the weight factor, which may have been changed while the lock was being waited for.
  facts.comment = (await readSchema(source, step.schema)).comment;
  return readSequenceValues(source, step.schema, facts.sequences);
}

/** Whether the materialized views on the destination are those of the source, where nobody can refresh them now. */
export async function areViewsFresh({ step, facts, views, source }: SwitchSessions): Promise<boolean> {
  if (facts.views.length === 0) return true;
  const now = await readViewVersions(source, step.schema);
  for (const view of facts.views) view.populated = now.get(view.name)?.populated ?? view.populated;
  return facts.views.every(({ name, late }) => late || views[name] === now.get(name)?.version);
}

/** Waits, with signs of life to Temporal and to both open transactions, whose idle timeouts are short. */
export async function waitUnderLock(
  sessions: SwitchSessions,
  position: string,
  deadline: number,
): Promise<boolean> {
  const { step, source, destination, destinationObserver } = sessions;
  return waitUntilApplied(destinationObserver, step.replicationName, position, deadline, async () => {
    await Promise.all([source.query("SELECT"), destination.query("SELECT")]);
    step.attempt.beat({ note: "writers are blocked while the destination applies their last changes" });
  });
}

/** Opens the destination's transaction; whatever does not depend on the source is done while the source is being read. */
export async function beginDestination({ step, destination, ...sessions }: SwitchSessions): Promise<void> {
  const { destinationApiSchema: apiSchema, entry, maxWriteBlockMs } = sessions;
  const [begin, ...arrival] = beginArrival(apiSchema, entry, step.from);
  const limit = `SET LOCAL statement_timeout = ${maxWriteBlockMs}`;
  await destination.query([begin, limit, ...arrival].join(";\n"));
}

/** Does everything in the destination's transaction except the commit. */
export async function completeDestination(sessions: SwitchSessions): Promise<void> {
  const { step, facts, destination, destinationApiSchema: apiSchema, entry } = sessions;
  await ensureReplicated(step, facts, destination);
  await copyLocked(step, facts, sessions.source, destination, step.schema);
  await destination.query([...completeSchema(step, facts), activateSql(apiSchema, entry.shard)].join(";\n"));
}

export async function handOverSequences(
  sessions: SwitchSessions,
  values: readonly SequenceValue[],
): Promise<HandOver[]> {
  const { step, facts, sourceObserver } = sessions;
  if (values.length === 0) return [];
  const waitedFor = await sequencesWaitedFor(sourceObserver, step.schema);
  return facts.sequences.map((sequence, i) =>
    handOver(step.schema, sequence, values[i]!, waitedFor.has(sequence.name)),
  );
}

/**
 * Also leaves values to sessions that have begun to wait for a sequence since it was handed over: they would find the old
 * copy exhausted. Done as late as possible, since a session that comes after this and before the commit still does.
 */
export async function reserveForLate(
  sessions: SwitchSessions,
  values: readonly SequenceValue[],
  handOvers: readonly HandOver[],
): Promise<void> {
  const { step, facts, source, sourceObserver, leftover } = sessions;
  if (handOvers.every(({ waitedFor }) => waitedFor)) return;
  const waitedFor = await sequencesWaitedFor(sourceObserver, step.schema);
  const late = facts.sequences.flatMap((sequence, i) =>
    waitedFor.has(sequence.name) && !handOvers[i]!.waitedFor
      ? [handOver(leftover, sequence, values[i]!, true)]
      : [],
  );
  if (late.length > 0)
    await bothEnd([setDestinationSequences(sessions, late), source.query(fencesOf(late).join(";\n"))]);
}

const fencesOf = (handOvers: readonly HandOver[]): string[] => handOvers.map(({ fence }) => fence);

/** In a transaction of its own, which is finished and on disk before the shard leaves the source. */
export async function setDestinationSequences(
  sessions: SwitchSessions,
  handOvers: readonly HandOver[],
): Promise<void> {
  if (handOvers.length === 0) return;
  const values = handOvers.map(({ destination }) => destination);
  await sessions.destinationObserver.query(setSequences(sessions.step.schema, values).join(";\n"));
}

export async function leaveSource(
  sessions: SwitchSessions,
  switchLsn: string,
  handOvers: readonly HandOver[],
): Promise<void> {
  const { step, facts, leftover, source } = sessions;
  const { reachable } = facts;
  const statements = leave(sessions.sourceApiSchema, sessions.entry, {
    peer: step.to,
    leftover,
    switchLsn,
    reachable,
    sequenceFences: fencesOf(handOvers),
  });
  await source.query(statements.join(";\n"));
}
