import type { ClientBase } from "pg";

import { hasSqlstate, SQLSTATE } from "../postgres/errors/sqlstate.ts";
import { ident, literal, qualified } from "../postgres/quote.ts";
import { DATABASE_OID } from "../postgres/server.ts";
import { rowsOfEach } from "../postgres/session.ts";
import { type Fence, type Sequence, type SequenceValue, shareOut } from "./share-out.ts";

/** A sequence with all that its old copy loses when it is fenced. */
export interface DefinedSequence extends Sequence {
  oid: string;
  cycle: boolean;
  /** Its data type: `smallint`, `integer` or `bigint`. */
  type: string;
}

/** Reads the sequences of a schema, including those that belong to identity and serial columns. */
export async function readSequenceDefinitions(
  client: ClientBase,
  schema: string,
): Promise<DefinedSequence[]> {
  const { rows } = await client.query<DefinedSequence>(
    `SELECT c.relname AS name, c.oid::text, pg_get_userbyid(c.relowner) AS owner, s.seqincrement AS increment,
       s.seqmin AS min, s.seqmax AS max, s.seqstart AS start, s.seqcycle AS cycle, format_type(s.seqtypid, NULL) AS type,
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

/** Reads the exact values of sequences in one round trip, without consuming any. */
export async function readSequenceValues(
  client: ClientBase,
  schema: string,
  sequences: readonly Sequence[],
): Promise<SequenceValue[]> {
  if (sequences.length === 0) return [];
  const rows = await rowsOfEach(client, sequenceValuesSql(schema, sequences));
  return sequenceValuesOf(sequences, rows.flat());
}

/** Sequences that are read by one query: a UNION of 10,000 exceeds the server's stack. */
const AT_A_TIME = 500;

/**
 * A query for the last values of sequences; null for one from which no value has been taken, or none since it was set. Takes a
 * fifth of the time of `sequenceValuesSql`, which opens each sequence as a table.
 */
export const lastValuesSql = (sequences: readonly DefinedSequence[]): string =>
  `SELECT (n - 1)::int AS no, pg_sequence_last_value(oid)::text AS value, true AS called
   FROM unnest('{${sequences.map(({ oid }) => oid).join(",")}}'::oid[]) WITH ORDINALITY AS sequence (oid, n)`;

/** The queries of `readSequenceValues`. */
export function sequenceValuesSql(schema: string, sequences: readonly Sequence[]): string[] {
  const reads = sequences.map(
    ({ name }, i) =>
      `SELECT ${i} AS no, last_value::text AS value, is_called AS called FROM ${qualified(schema, name)}`,
  );
  return Array.from({ length: Math.ceil(reads.length / AT_A_TIME) }, (_, i) =>
    reads.slice(i * AT_A_TIME, (i + 1) * AT_A_TIME).join(" UNION ALL "),
  );
}

/** What those queries have found. */
export const sequenceValuesOf = (
  sequences: readonly Sequence[],
  rows: readonly Record<string, unknown>[],
): SequenceValue[] =>
  (rows as { no: number; value: string; called: boolean }[]).map(({ no, value, called }) => ({
    name: sequences[no]!.name,
    value,
    called,
  }));

/** Sets sequences as on the source, so that none ever hands out a value that the source has handed out. */
export function setSequences(schema: string, values: readonly SequenceValue[]): string {
  const rows = values.map(
    ({ name, value, called }) =>
      `(${literal(qualified(schema, name))}::regclass, '${BigInt(value)}'::bigint, ${String(called === true)})`,
  );
  return rows.length === 0
    ? "SELECT"
    : `SELECT count(setval(s.name, s.value, s.called)) FROM (VALUES ${rows.join(", ")}) AS s (name, value, called)`;
}

/** A query for the sequences for whose nextval() somebody is waiting while we hold their locks. */
export const sequencesWaitedForSql = (schema: string): string =>
  `SELECT DISTINCT c.relname::text AS name
   FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE NOT l.granted AND c.relkind = 'S' AND n.nspname = ${literal(schema)}
     AND l.database = ${DATABASE_OID}`;

/** A statement that fails with `sequencesWaitedFor`, and the names as detail, if somebody is waiting for a sequence other than those that are known. */
export const noneLateSql = (schema: string, known: readonly string[]): string =>
  `DO ${literal(
    `DECLARE late json := (SELECT json_agg(name) FROM (${sequencesWaitedForSql(schema)}) AS waited
       WHERE name <> ALL (ARRAY[${known.map(literal).join(", ")}]::text[]));
     BEGIN
       IF late IS NOT NULL THEN
         RAISE EXCEPTION USING ERRCODE = '${SQLSTATE.sequencesWaitedFor}', MESSAGE = 'sequences are waited for', DETAIL = late::text;
       END IF;
     END`,
  )}`;

/** The sequences that `noneLateSql` has found; null for any other error. */
export function lateSequences(error: unknown): Set<string> | null {
  if (!hasSqlstate(error, SQLSTATE.sequencesWaitedFor)) return null;
  return new Set(JSON.parse((error as { detail: string }).detail) as string[]);
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

/** Exhausts the sequences of an old copy, as they are; those that are exhausted stay so. */
export async function fenceSequences(client: ClientBase, schema: string): Promise<void> {
  const sequences = await readSequenceDefinitions(client, schema);
  if (sequences.length === 0) return;
  const values = await readSequenceValues(client, schema, sequences);
  const fences = sequences.map((sequence, i) => handOver(schema, sequence, values[i]!, false).fence);
  await client.query(fences.join(";\n"));
}

/** Makes the fenced sequences of an old copy what they are where the shard is now, before their values are set. */
export const liftSequences = (
  schema: string,
  sequences: readonly DefinedSequence[],
  values: readonly SequenceValue[],
): string[] => {
  const byName = new Map(sequences.map((sequence) => [sequence.name, sequence]));
  return values.flatMap(({ name, value }) => {
    const sequence = byName.get(name);
    if (!sequence) return [];
    const { type, increment, min, max, start, cycle } = sequence;
    return [
      `ALTER SEQUENCE ${qualified(schema, name)} AS ${type} INCREMENT ${increment} MINVALUE ${min} MAXVALUE ${max} ` +
        `START ${start} RESTART ${BigInt(value)} ${cycle ? "CYCLE" : "NO CYCLE"}`,
    ];
  });
};

/** Locks a sequence, whose nextval() no table lock stops. Setting the owner that it already has changes nothing. */
export const lockSequence = (schema: string, { name, owner }: Pick<Sequence, "name" | "owner">): string =>
  `ALTER SEQUENCE ${qualified(schema, name)} OWNER TO ${ident(owner)}`;
