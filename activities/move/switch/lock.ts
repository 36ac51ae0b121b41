import { type Blocker, creatorsSql, describeCreators } from "../../../src/postgres/blockers.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import { blockersDuring, LOCK_TIMEOUT_MS } from "../../../src/postgres/locks.ts";
import { literal, qualified } from "../../../src/postgres/quote.ts";
import { bytesOfLsn } from "../../../src/postgres/replication/lag.ts";
import { flushedPosition, POSITION_SQL } from "../../../src/postgres/replication/position.ts";
import { FINGERPRINT_SQL } from "../../../src/postgres/schema/fingerprint.ts";
import { schemaCommentSql } from "../../../src/postgres/schema/tables.ts";
import { backendPid, rowsOfEach } from "../../../src/postgres/session.ts";
import {
  lockSequence,
  sequencesWaitedForSql,
  sequenceValuesOf,
  sequenceValuesSql,
} from "../../../src/sequences/hand-over.ts";
import type { SequenceValue } from "../../../src/sequences/share-out.ts";
import { publishedCheck } from "../parts/guards.ts";
import { ensureSame } from "../parts/structure.ts";
import type { SwitchSessions } from "./sessions.ts";

type Row = Record<string, unknown>;

/** What is known once everything is locked; nobody can write any more. */
export interface Locked {
  /** The position that the destination has to reach. */
  position: string;
  values: SequenceValue[];
  /** The sequences that somebody is waiting for. */
  waitedFor: Set<string>;
}

/**
 * Takes all locks, in a fixed order, and reads what can be read only under them. If a lock is not granted, returns the
 * blockers that were seen. All this takes one round trip, in two sessions at once: the position has to come from a commit,
 * and the session with the lock cannot commit before the end of the switch.
 */
export async function lockAndRead(sessions: SwitchSessions): Promise<Locked | Blocker[]> {
  const { step, facts, source, sourceObserver, sourceWatcher } = sessions;
  const asked = rowsOfEach(source, [...locks(sessions), openGate(sessions), ...readings(sessions)]);
  const position = positionBehindGate(sessions);
  position.catch(() => undefined);
  const watched = blockersDuring(source, asked, (use) => use(sourceWatcher));
  watched.catch(() => undefined);
  try {
    const read = (await asked).slice(-READINGS);
    const [creators, [insert], [print], [schema], values, waitedFor] = read as [
      Row[],
      [Row],
      [Row],
      [Row],
      Row[],
      Row[],
    ];
    // Their transactions may have ended by now.
    if (creators.length > 0) return await describeCreators(source, creators);
    ensureSame(step, print["fingerprint"] as string);
    // The comment contains the weight factor, which may have changed while this waited for the lock.
    facts.comment = schema["comment"] as string | null;
    const reached = await position;
    // Correctness depends on this comparison, not on the gate.
    const behind = bytesOfLsn(reached) >= bytesOfLsn(insert["lsn"] as string);
    return {
      position: behind ? reached : await flushedPosition(sourceObserver),
      values: sequenceValuesOf(facts.sequences, values),
      waitedFor: new Set(waitedFor.map(({ name }) => name as string)),
    };
  } catch (error) {
    const waitedInVain = hasSqlstate(
      error,
      SQLSTATE.lockNotAvailable,
      SQLSTATE.queryCanceled,
      SQLSTATE.deadlockDetected,
    );
    if (!waitedInVain) throw error;
    return await watched;
  }
}

/**
 * EXCLUSIVE lets readers through. ALTER SEQUENCE to its present owner changes nothing, but is the only way to lock a
 * sequence: no table lock stops nextval(). The statement timeouts bound the sums of the waits, during which the
 * application's writers queue behind us.
 */
function locks({ step, facts, maxWriteBlockMs }: SwitchSessions): string[] {
  const tables = facts.tables.map((table) => `ONLY ${qualified(step.schema, table.name)}`);
  const sequences = facts.sequences.map((sequence) => lockSequence(step.schema, sequence));
  const timeout = LOCK_TIMEOUT_MS + Math.round(Math.max(tables.length, sequences.length) / 5);
  return [
    "BEGIN",
    `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `SET LOCAL statement_timeout = ${timeout}`,
    ...(tables.length > 0 ? [`LOCK TABLE ${tables.join(", ")} IN EXCLUSIVE MODE`] : []),
    ...(facts.views.length > 0 ? [lockViews(step.schema)] : []),
    ...(sequences.length > 0 ? [`DO ${literal(`BEGIN ${sequences.join("; ")}; END`)}`] : []),
    `SET LOCAL statement_timeout = ${maxWriteBlockMs}`,
  ];
}

/**
 * Keeps materialized views from being refreshed, and lets readers through. LOCK TABLE does not accept them; setting the
 * comment that a view already has changes nothing, but locks the view.
 */
const lockViews = (schema: string): string =>
  `DO ${literal(`BEGIN
     EXECUTE (
       SELECT coalesce(string_agg(
         format('COMMENT ON MATERIALIZED VIEW %I.%I IS %L', n.nspname, c.relname, obj_description(c.oid, 'pg_class')), '; '
         ORDER BY c.relname), '')
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = ${literal(schema)} AND c.relkind = 'm');
   END`)}`;

/** The number of statements of `readings`. */
const READINGS = 6;

/**
 * What is read under the lock, by the session that has it. A table that somebody is creating in the schema is not covered
 * by our locks, and invisible to the fingerprint before its commit: it would end up in the old copy. So whoever creates
 * one is a blocker.
 */
export function readings(sessions: SwitchSessions): string[] {
  const { schema } = sessions.step;
  return [
    creatorsSql(schema),
    "SELECT pg_current_wal_insert_lsn()::text AS lsn",
    fingerprintReading(sessions),
    schemaCommentSql(schema),
    "EXECUTE shardferry_sequences_",
    sequencesWaitedForSql(schema),
  ];
}

export const fingerprintReading = ({ step: { schema } }: SwitchSessions): string =>
  `EXECUTE shardferry_fingerprint_(${literal(schema)})`;

/** Prepares the larger of these statements, so that they are planned before the lock. */
export const preparedReadings = ({ step: { schema }, facts }: SwitchSessions): string[] => [
  `PREPARE shardferry_fingerprint_ (text) AS ${FINGERPRINT_SQL}`,
  `PREPARE shardferry_sequences_ AS ${sequenceValuesSql(schema, facts.sequences)}`,
];

/**
 * The second session of the source has to wait until the first one has all its locks, without a round trip in between: it
 * waits for an advisory lock, the gate, which is closed before the attempt.
 */
const gate = ({ source }: SwitchSessions): string => `hashtext('shardferry switch'), ${backendPid(source)}`;

/** Closes the gate; to be run by the session that will hold the lock, in a round trip before that. */
export const closeGate = (sessions: SwitchSessions): string => `SELECT pg_advisory_lock(${gate(sessions)})`;

const openGate = (sessions: SwitchSessions): string => `SELECT pg_advisory_unlock(${gate(sessions)})`;

/** The position that is behind all commits that came before the gate was opened, and whether all is published then. */
async function positionBehindGate(sessions: SwitchSessions): Promise<string> {
  const { step, facts, sourceObserver } = sessions;
  const published = publishedCheck(step, facts);
  const wait = `SELECT pg_advisory_xact_lock(${gate(sessions)})`;
  const [, lsns, unpublished] = await rowsOfEach(sourceObserver, [wait, POSITION_SQL, published.sql]);
  published.verify(unpublished!);
  return lsns![0]!["lsn"] as string;
}
