import { type Blocker, creatorsSql, describeCreators } from "../../../src/postgres/blockers.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import { blockersDuring, LOCK_TIMEOUT_MS } from "../../../src/postgres/locks.ts";
import { literal, qualified } from "../../../src/postgres/quote.ts";
import { bytesOfLsn } from "../../../src/postgres/replication/lag.ts";
import { flushedPosition, POSITION_SQL } from "../../../src/postgres/replication/position.ts";
import { FINGERPRINT_SQL } from "../../../src/postgres/schema/fingerprint.ts";
import { INVENTORY_SQL } from "../../../src/postgres/schema/inventory.ts";
import { schemaCommentSql } from "../../../src/postgres/schema/tables.ts";
import { backendPid, rowsOfEach } from "../../../src/postgres/session.ts";
import {
  lastValuesSql,
  lockSequence,
  readSequenceValues,
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
  const { facts, source, sourceObserver, sourceWatcher } = sessions;
  const asked = rowsOfEach(source, [...locks(sessions), openGate(sessions), ...readings(sessions)]);
  const position = positionBehindGate(sessions);
  position.catch(() => undefined);
  const watched = blockersDuring(source, asked, (use) => use(sourceWatcher));
  watched.catch(() => undefined);
  try {
    const read = (await asked).slice(-readings(sessions).length);
    const [creators, [insert], [versions], [schema], waitedFor, last, ...uncalled] = read as [
      Row[],
      [Row],
      [Row],
      [Row],
      Row[],
      Row[],
      ...Row[][],
    ];
    // Their transactions may have ended by now.
    if (creators.length > 0) return await describeCreators(source, creators);
    if (versions["inventory"] !== sessions.inventory) await ensureSameAgain(sessions);
    // The comment contains the weight factor, which may have changed while this waited for the lock.
    facts.comment = schema["comment"] as string | null;
    const reached = await position;
    // Correctness depends on this comparison, not on the gate.
    const behind = bytesOfLsn(reached) >= bytesOfLsn(insert["lsn"] as string);
    return {
      position: behind ? reached : await flushedPosition(sourceObserver),
      values: await valuesOf(sessions, last, uncalled.flat()),
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
    inventoryReading(sessions),
    schemaCommentSql(schema),
    sequencesWaitedForSql(schema),
    `EXECUTE ${VALUES}`,
    ...uncalledSql(sessions).map((_, i) => `EXECUTE ${VALUES}${i}`),
  ];
}

/** The names of the prepared statements that read the values of the sequences begin with this. */
const VALUES = "shardferry_sequences_";

/** Those that have not been called before the lock, and may have been since, are read in a way that takes longer. */
const uncalledSql = ({ step: { schema }, uncalled }: SwitchSessions): string[] =>
  sequenceValuesSql(schema, uncalled);

async function valuesOf(
  { step: { schema }, facts, uncalled, source }: SwitchSessions,
  last: readonly Row[],
  others: readonly Row[],
): Promise<SequenceValue[]> {
  const called = last.filter(({ value }) => value !== null);
  const found = [...sequenceValuesOf(facts.sequences, called), ...sequenceValuesOf(uncalled, others)];
  const known = new Set(found.map(({ name }) => name));
  // Somebody has set them since then.
  const set = facts.sequences.filter(({ name }) => !known.has(name));
  const all = new Map(
    [...found, ...(await readSequenceValues(source, schema, set))].map((one) => [one.name, one]),
  );
  return facts.sequences.map(({ name }) => all.get(name)!);
}

const fingerprintReading = ({ step: { schema } }: SwitchSessions): string =>
  `EXECUTE shardferry_fingerprint_(${literal(schema)})`;

const inventoryReading = ({ step: { schema } }: SwitchSessions): string =>
  `EXECUTE shardferry_inventory_(${literal(schema)})`;

/** Makes sure, before the lock, that the structure is the one that was copied, and closes the gate for the attempt to come. */
export async function ensureReady(sessions: SwitchSessions): Promise<void> {
  // The inventory comes first: what changes after the fingerprint has been taken is seen under the lock.
  const asked = [closeGate(sessions), inventoryReading(sessions), fingerprintReading(sessions)];
  const [, [versions], [print]] = (await rowsOfEach(sessions.source, asked)) as [unknown, [Row], [Row]];
  sessions.inventory = versions["inventory"] as string;
  ensureSame(sessions.step, print["fingerprint"] as string);
}

/** Finds out, under the lock, whether a catalog row that has changed since is a change of the structure. */
async function ensureSameAgain(sessions: SwitchSessions): Promise<void> {
  const [[print]] = (await rowsOfEach(sessions.source, [fingerprintReading(sessions)])) as [[Row]];
  ensureSame(sessions.step, print["fingerprint"] as string);
}

/** Prepares the larger of these statements, so that they are planned before the lock. */
export const preparedReadings = (sessions: SwitchSessions): string[] => [
  `PREPARE shardferry_fingerprint_ (text) AS ${FINGERPRINT_SQL}`,
  `PREPARE shardferry_inventory_ (text) AS ${INVENTORY_SQL}`,
  `PREPARE ${VALUES} AS ${lastValuesSql(sessions.facts.sequences)}`,
  ...uncalledSql(sessions).map((sql, i) => `PREPARE ${VALUES}${i} AS ${sql}`),
];

/**
 * The second session of the source has to wait until the first one has all its locks, without a round trip in between: it
 * waits for an advisory lock, the gate, which is closed before the attempt.
 */
const gate = ({ source }: SwitchSessions): string => `hashtext('shardferry switch'), ${backendPid(source)}`;

/** Closes the gate; to be run by the session that will hold the lock, in a round trip before that. */
const closeGate = (sessions: SwitchSessions): string => `SELECT pg_advisory_lock(${gate(sessions)})`;

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
