import { allEnd } from "../../../src/all-end.ts";
import { activateSql, deactivateSql } from "../../../src/postgres/api/shards.ts";
import { type BookEntry, bookRow } from "../../../src/postgres/api/switches.ts";
import { ident, literal } from "../../../src/postgres/quote.ts";
import { DURABLE_SQL, untilAppliedSql } from "../../../src/postgres/replication/position.ts";
import { rowsOfEach } from "../../../src/postgres/session.ts";
import { noneLateSql } from "../../../src/sequences/hand-over.ts";
import { fenceSql, renameSql } from "../parts/fence.ts";
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

/** Milliseconds that a statement of `warmUp` may take: the first call of a function takes longer than later calls. */
const WARM_UP_MS = 3000;

/**
 * Does on both sides what the switch will read, and what it will do with the book and the list of active shards, and rolls
 * it back: the first call of a function in a session loads and plans it, which took 6-8 ms under the lock.
 */
export async function warmUp(sessions: SwitchSessions): Promise<void> {
  const { step, facts, source, destination, sourceApiSchema, destinationApiSchema, entry } = sessions;
  const { to } = step;
  const limit = `SET LOCAL statement_timeout = ${WARM_UP_MS}`;
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
  ...fenceSql(entry.schema, departure.peer, departure.reachable),
  renameSql(entry.schema, departure.leftover),
];
