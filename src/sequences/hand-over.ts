import type { ClientBase } from "pg";

import { ident, literal, qualified } from "../postgres/quote.ts";
import { DATABASE_OID } from "../postgres/server.ts";
import { type Fence, type Sequence, type SequenceValue, shareOut } from "./share-out.ts";

/** Reads the sequences of a schema, including those that belong to identity and serial columns. */
export async function readSequenceDefinitions(client: ClientBase, schema: string): Promise<Sequence[]> {
  const { rows } = await client.query<Sequence>(
    `SELECT c.relname AS name, pg_get_userbyid(c.relowner) AS owner, s.seqincrement AS increment,
       s.seqmin AS min, s.seqmax AS max, s.seqstart AS start,
       CASE s.seqtypid WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648
         ELSE -9223372036854775808 END AS lowest,
       CASE s.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
         ELSE 9223372036854775807 END AS highest
     FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
     ORDER BY 1`,
    [schema],
  );
  return rows;
}

/**
 * Reads the exact values of sequences in one query, without consuming any. The statement is prepared,
 * so that the switch, which has run it before, does not plan it under the lock.
 */
export async function readSequenceValues(
  client: ClientBase,
  schema: string,
  sequences: readonly Sequence[],
): Promise<SequenceValue[]> {
  if (sequences.length === 0) return [];
  const selects = sequences.map(
    ({ name }, i) =>
      `SELECT ${i} AS no, last_value::text AS value, is_called AS called FROM ${qualified(schema, name)}`,
  );
  const { rows } = await client.query<{ no: number; value: string; called: boolean }>({
    name: "shardferry_sequences",
    text: selects.join(" UNION ALL "),
  });
  return rows.map(({ no, value, called }) => ({ name: sequences[no]!.name, value, called }));
}

/** Sets sequences as on the source, so that none ever hands out a value that the source has handed out. */
export const setSequences = (schema: string, values: readonly SequenceValue[]): string[] =>
  values.map(
    ({ name, value, called }) =>
      `SELECT setval(${literal(qualified(schema, name))}::regclass, ${BigInt(value)}, ${String(called === true)})`,
  );

/** The sequences for whose nextval() somebody is waiting while we hold their locks. */
export async function sequencesWaitedFor(client: ClientBase, schema: string): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT c.relname AS name
     FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT l.granted AND c.relkind = 'S' AND n.nspname = $1
       AND l.database = ${DATABASE_OID}`,
    [schema],
  );
  return new Set(rows.map((row) => row.name));
}

/** How a sequence continues on the destination, and how the old copy is prevented from handing out the same values. */
export interface HandOver {
  destination: SequenceValue;
  fence: string;
  /** Whether somebody was waiting, so that values are left to the old copy. */
  waitedFor: boolean;
}

/**
 * A call of nextval() that has resolved the sequence's name continues with the renamed old copy, whatever it
 * waits for: so the old copy gets a limit, and the destination begins behind it.
 *
 * @param schema the name that the source's schema has at that moment.
 */
export function handOver(
  schema: string,
  sequence: Sequence,
  value: SequenceValue,
  waitedFor: boolean,
): HandOver {
  const { destination, fence } = shareOut(sequence, value, waitedFor);
  return { destination, fence: fenceSql(qualified(schema, sequence.name), fence), waitedFor };
}

const fenceSql = (name: string, { increment, min, max, start, restart, widened }: Fence): string =>
  `ALTER SEQUENCE ${name} ${widened ? "AS bigint " : ""}INCREMENT ${increment} NO CYCLE MINVALUE ${min} MAXVALUE ${max} START ${start}` +
  (restart === null ? "" : ` RESTART ${restart}`);

/** Locks a sequence, whose nextval() no table lock stops. Setting the owner that it already has changes nothing. */
export const lockSequence = (schema: string, { name, owner }: Pick<Sequence, "name" | "owner">): string =>
  `ALTER SEQUENCE ${qualified(schema, name)} OWNER TO ${ident(owner)}`;
