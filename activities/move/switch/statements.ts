import { allEnd } from "../../../src/all-end.ts";
import { activateSql, deactivateSql } from "../../../src/postgres/api/shards.ts";
import { type BookEntry, bookRow } from "../../../src/postgres/api/switches.ts";
import { ident, literal, qualified } from "../../../src/postgres/quote.ts";
import { DURABLE_SQL, untilAppliedSql } from "../../../src/postgres/replication/position.ts";
import { rowsOfEach } from "../../../src/postgres/session.ts";
import { noneLateSql } from "../../../src/sequences/hand-over.ts";
import { replicatedChecks } from "../parts/guards.ts";
import { preparedReadings, readings } from "./lock.ts";
import type { SwitchSessions } from "./sessions.ts";

/**
 * Destination: opens the transaction and records that the shard has arrived from `peer`. Comes before
 * everything else: its row makes a second attempt wait, and then fail.
 */
export const beginArrival = (apiSchema: string, entry: BookEntry, peer: string): string[] => [
  "BEGIN",
  `DO ${literal(
    `BEGIN
       ${bookRow(apiSchema, entry, "destination", peer, null, null)}
         WHERE m.epoch < excluded.epoch;
       IF NOT FOUND THEN
         RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
           MESSAGE = ${literal(`schema "${entry.schema}" has already arrived, by this switch or a later one`)};
       END IF;
     END`,
  )}`,
];

/** Milliseconds that a statement of the rehearsal may take: the first call of a function takes longer than later calls. */
const REHEARSAL_MS = 3000;

/**
 * Does on both sides what the switch will read, and what it will do with the book and the list of active shards, and rolls
 * it back: the first call of a function in a session loads and plans it, which took 6-8 ms under the lock.
 */
export async function rehearse(sessions: SwitchSessions): Promise<void> {
  const { step, facts, source, destination, sourceApiSchema, destinationApiSchema, entry } = sessions;
  const { to } = step;
  const limit = `SET LOCAL statement_timeout = ${REHEARSAL_MS}`;
  const [begin, ...arrival] = beginArrival(destinationApiSchema, entry, to) as [string, ...string[]];
  const unmark = `COMMENT ON SCHEMA ${ident(entry.schema)} IS NULL`;
  const arrive = [
    begin,
    limit,
    ...arrival,
    untilAppliedSql(step.replicationName, "0/0", 0, "RETURN"),
    ...replicatedChecks(step, facts).map(({ sql }) => sql),
    unmark,
    activateSql(destinationApiSchema, entry.shard),
    "ROLLBACK",
  ];
  const depart = [
    ...preparedReadings(sessions),
    "BEGIN",
    ...readings(sessions),
    limit,
    deactivateSql(sourceApiSchema, entry.shard),
    bookRow(sourceApiSchema, entry, "source", to, null, null),
    noneLateSql(
      entry.schema,
      facts.sequences.map(({ name }) => name),
    ),
    "ROLLBACK",
  ];
  await step.attempt.reading(step.from, () =>
    // Last: what comes before a BEGIN in one message belongs to that transaction, and is rolled back with it.
    allEnd([rowsOfEach(destination, [...arrive, DURABLE_SQL]), rowsOfEach(source, [...depart, DURABLE_SQL])]),
  );
}

/** Where the shard goes, and what it leaves behind on the source. */
export interface Departure {
  peer: string;
  leftover: string;
  switchLsn: string;
  /** Tables that can be written to from outside the schema. */
  reachable: readonly string[];
  /** ALTER SEQUENCE statements that limit the old copy's sequences. */
  sequenceFences: readonly string[];
}

/** Source: the shard is inactive, has left, is fenced and renamed. Its commit is the point of no return. */
export const leave = (apiSchema: string, entry: BookEntry, departure: Departure): string[] => [
  deactivateSql(apiSchema, entry.shard),
  bookRow(apiSchema, entry, "source", departure.peer, departure.leftover, departure.switchLsn),
  ...departure.sequenceFences,
  ...fence(entry.schema, departure.peer, departure.reachable),
  `ALTER SCHEMA ${ident(entry.schema)} RENAME TO ${ident(departure.leftover)}`,
];

/**
 * A view or function of another schema reaches a table by its OID and would continue to write into the renamed
 * old copy: such a write would be lost. A trigger turns it into the error that everybody else gets.
 */
function fence(schema: string, peer: string, reachable: readonly string[]): string[] {
  if (reachable.length === 0) return [];
  const name = qualified(schema, "shardferry_fence_");
  const begin = literal(`relation "${schema}.`);
  const end = literal(`" does not exist: the shard has moved to ${peer}`);
  return [
    `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS ${literal(
      `BEGIN RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = ${begin} || TG_TABLE_NAME || ${end}; END`,
    )}`,
    ...reachable.map(
      (table) =>
        `CREATE TRIGGER shardferry_fence_ BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${qualified(schema, table)} ` +
        `FOR EACH STATEMENT EXECUTE FUNCTION ${name}()`,
    ),
  ];
}
