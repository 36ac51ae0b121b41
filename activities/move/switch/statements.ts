import type { ClientBase } from "pg";

import { ident, literal, qualified } from "../../../src/postgres/quote.ts";
import type { SwitchFacts } from "../parts/source-facts.ts";
import type { SwitchPlan } from "./switch-once.ts";

/** What both sides write into the book of switches. */
export interface BookEntry {
  schema: string;
  shard: number;
  workflowId: string;
  runId: string;
  epoch: string;
}

/** Takes the mark off, and enables the triggers that were not to fire for replicated changes; each by itself. */
export const completeSchema = (schema: string, facts: SwitchFacts): string[] => [
  `COMMENT ON SCHEMA ${ident(schema)} IS ${facts.comment === null ? "NULL" : literal(facts.comment)}`,
  ...facts.triggers.map(
    ({ table, trigger, enable }) =>
      `ALTER TABLE ONLY ${qualified(schema, table)} ${enable} TRIGGER ${ident(trigger)}`,
  ),
];

/**
 * Destination: opens the transaction and records that the shard has arrived from `peer`. Comes before
 * everything else: its row keeps a second attempt waiting, and then out.
 */
export const beginArrival = (lib: string, entry: BookEntry, peer: string): string[] => [
  "BEGIN",
  `DO ${literal(
    `BEGIN
       ${bookRow(lib, entry, "destination", peer, null, null)}
         WHERE m.epoch < excluded.epoch;
       IF NOT FOUND THEN
         RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
           MESSAGE = ${literal(`schema "${entry.schema}" has arrived already, by this switch or a later one`)};
       END IF;
     END`,
  )}`,
];

/** Destination: the shard is active. */
export const activate = (lib: string, { shard }: BookEntry): string =>
  `SELECT ${ident(lib)}.microsharding_ensure_active(${shard})`;

/** Milliseconds that a statement of the rehearsal may take: the first call of a function takes longer than later ones. */
const REHEARSAL_MS = 3000;

/**
 * Does on both sides what the switch will do with the book and the list of active shards, and takes it back: the
 * first call of a function in a session loads and plans it, which took 6-8 ms under the lock.
 */
export async function rehearse({
  step: { to },
  source,
  destination,
  sourceLib,
  destinationLib,
  entry,
}: SwitchPlan): Promise<void> {
  const limit = `SET LOCAL statement_timeout = ${REHEARSAL_MS}`;
  const [begin, ...arrival] = beginArrival(destinationLib, entry, to);
  const unmark = `COMMENT ON SCHEMA ${ident(entry.schema)} IS NULL`;
  const arrive = [begin, limit, ...arrival, unmark, activate(destinationLib, entry), "ROLLBACK"];
  const depart = [
    "BEGIN",
    limit,
    deactivate(sourceLib, entry),
    bookRow(sourceLib, entry, "source", to, null, null),
    "ROLLBACK",
  ];
  await Promise.all([destination.query(arrive.join(";\n")), source.query(depart.join(";\n"))]);
}

/** Source: the shard is not active. */
const deactivate = (lib: string, { shard }: BookEntry): string =>
  `SELECT ${ident(lib)}.microsharding_ensure_inactive(${shard})`;

/** What the source leaves behind, and where to. */
export interface Departure {
  peer: string;
  leftover: string;
  switchLsn: string;
  /** Tables that can be written to from outside of the schema. */
  reachable: readonly string[];
  /** ALTER SEQUENCE statements that limit the old copy's sequences. */
  sequenceFences: readonly string[];
}

/** Source: the shard is inactive, has left, is fenced and renamed. Its commit is the point of no return. */
export const leave = (lib: string, entry: BookEntry, departure: Departure): string[] => [
  deactivate(lib, entry),
  bookRow(lib, entry, "source", departure.peer, departure.leftover, departure.switchLsn),
  ...departure.sequenceFences,
  ...fence(entry.schema, departure.peer, departure.reachable),
  `ALTER SCHEMA ${ident(entry.schema)} RENAME TO ${ident(departure.leftover)}`,
];

/** Writes the last switch of a shard, replacing the one before. */
function bookRow(
  lib: string,
  entry: BookEntry,
  role: "source" | "destination",
  peer: string,
  leftover: string | null,
  switchLsn: string | null,
): string {
  const values = [
    entry.schema,
    role,
    entry.workflowId,
    entry.runId,
    peer,
    entry.epoch,
    role === "source" ? "left" : "arrived",
    leftover,
    switchLsn,
  ].map((value) => (value === null ? "NULL" : literal(value)));
  return `INSERT INTO ${qualified(lib, "microsharding_moves_")} AS m
      (schema_name, role, workflow_id, run_id, peer, epoch, state, leftover, switch_lsn)
    VALUES (${values.join(", ")})
    ON CONFLICT (schema_name, role) DO UPDATE SET
      workflow_id = excluded.workflow_id, run_id = excluded.run_id, peer = excluded.peer, epoch = excluded.epoch,
      state = excluded.state, leftover = excluded.leftover, switch_lsn = excluded.switch_lsn, switched_at = clock_timestamp()`;
}

/**
 * A view or function of another schema reaches a table by its OID and would go on writing into the renamed
 * old copy: such a write was lost. A trigger turns it into the error that everybody else gets.
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

/** The largest epoch that an island has ever seen of a shard. */
export async function epochOf(client: ClientBase, lib: string, schema: string): Promise<bigint> {
  const { rows } = await client.query<{ epoch: string }>(
    `SELECT coalesce(max(epoch), 0) AS epoch FROM ${qualified(lib, "microsharding_moves_")} WHERE schema_name = $1`,
    [schema],
  );
  return BigInt(rows[0]!.epoch);
}
