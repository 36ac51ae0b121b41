import type { ClientBase } from "pg";

import { ident, literal, qualified } from "../../src/postgres/quote.ts";
import type { SequenceValue, SwitchFacts } from "./facts.ts";

/** What both sides write into the book of switches. */
export interface BookEntry {
  schema: string;
  shard: number;
  workflowId: string;
  runId: string;
  epoch: string;
}

/** Sequences as on the source, so that none ever hands out a value that the source has handed out. */
export const setSequences = (schema: string, values: readonly SequenceValue[]): string[] =>
  values.map(
    ({ name, value, called }) =>
      `SELECT setval(${literal(qualified(schema, name))}::regclass, ${BigInt(value)}, ${String(called === true)})`,
  );

/** Takes the mark off, and enables the triggers that were not to fire for replicated changes. */
export const completeSchema = (schema: string, facts: SwitchFacts): string[] => [
  `COMMENT ON SCHEMA ${ident(schema)} IS ${facts.comment === null ? "NULL" : literal(facts.comment)}`,
  ...facts.triggers.map(
    ({ table, trigger, enable }) =>
      `ALTER TABLE ${qualified(schema, table)} ${enable} TRIGGER ${ident(trigger)}`,
  ),
];

/** Destination: the shard has arrived from `peer` and is active. */
export const arrive = (lib: string, entry: BookEntry, peer: string): string[] => [
  bookRow(lib, entry, "destination", peer, null, null),
  `SELECT ${ident(lib)}.microsharding_ensure_active(${entry.shard})`,
];

/** Source: the shard is inactive, has left to `peer`, is renamed and fenced. Its commit is the point of no return. */
export const leave = (
  lib: string,
  entry: BookEntry,
  peer: string,
  leftover: string,
  switchLsn: string,
  reachable: readonly string[],
): string[] => [
  `SELECT ${ident(lib)}.microsharding_ensure_inactive(${entry.shard})`,
  bookRow(lib, entry, "source", peer, leftover, switchLsn),
  ...fence(entry.schema, peer, reachable),
  `ALTER SCHEMA ${ident(entry.schema)} RENAME TO ${ident(leftover)}`,
];

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
  return `INSERT INTO ${qualified(lib, "microsharding_moves_")}
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

/** The epoch of the next switch: one more than the source has ever seen of this shard. */
export async function nextEpoch(client: ClientBase, lib: string, schema: string): Promise<string> {
  const { rows } = await client.query<{ epoch: string }>(
    `SELECT coalesce(max(epoch), 0) + 1 AS epoch FROM ${qualified(lib, "microsharding_moves_")} WHERE schema_name = $1`,
    [schema],
  );
  return rows[0]!.epoch;
}
