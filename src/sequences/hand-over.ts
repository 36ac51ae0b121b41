import type { ClientBase } from "pg";

import { ident, literal, qualified } from "../postgres/quote.ts";

/** A sequence as it is defined on the source. */
export interface Sequence {
  name: string;
  owner: string;
  increment: string;
  min: string;
  max: string;
  start: string;
  /** Smallest and largest value of its data type. */
  lowest: string;
  highest: string;
}

/** The value of a sequence as it is handed from one server to the other. */
export interface SequenceValue {
  name: string;
  value: string;
  called: boolean;
}

/** Reads the sequences of a schema, also those that belong to identity and serial columns. */
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
 * Reads the values of sequences in one query: exact, and nothing is consumed. The statement is prepared,
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

/** Sequences as on the source, so that none ever hands out a value that the source has handed out. */
export const setSequences = (schema: string, values: readonly SequenceValue[]): string[] =>
  values.map(
    ({ name, value, called }) =>
      `SELECT setval(${literal(qualified(schema, name))}::regclass, ${BigInt(value)}, ${String(called === true)})`,
  );

/** The sequences whose nextval() somebody is waiting for, while we hold their locks. */
export async function sequencesWaitedFor(client: ClientBase, schema: string): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT c.relname AS name
     FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT l.granted AND c.relkind = 'S' AND n.nspname = $1
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [schema],
  );
  return new Set(rows.map((row) => row.name));
}

/**
 * Values left to the old copy of a sequence that somebody is waiting for: such a call has resolved the
 * name, and may be one of thousands in its statement.
 */
const RESERVE = 10_000n;
/** Share of the values that are left which a reserve may take. */
const RESERVE_SHARE = 1000n;

/** How a sequence goes on at the destination, and how the old copy is kept from handing out the same. */
export interface HandOver {
  destination: SequenceValue;
  /** Null where nothing is left that the old copy could hand out. */
  fence: string | null;
  /** Whether somebody was waiting, so that values are left to the old copy. */
  waitedFor: boolean;
}

/**
 * A call of nextval() that has resolved the sequence's name goes on with the renamed old copy, whatever it
 * waits for: so the old copy gets a limit, and the destination begins behind it. Without anybody waiting
 * the limit is the value of now, and the destination's sequence is exactly the source's.
 *
 * @param schema what the source's schema is called at that moment.
 */
export function handOver(
  schema: string,
  sequence: Sequence,
  { value, called }: SequenceValue,
  waitedFor: boolean,
): HandOver {
  const [increment, last] = [BigInt(sequence.increment), BigInt(value)];
  const up = increment > 0n;
  const step = up ? increment : -increment;
  const left = (up ? BigInt(sequence.max) - last : last - BigInt(sequence.min)) / step;
  const reserve = waitedFor ? smaller(RESERVE, left / RESERVE_SHARE) : 0n;
  // An uncalled sequence hands out its value itself first.
  const limit = last + (reserve - (called ? 0n : 1n)) * increment;
  const destination =
    reserve > 0n
      ? { name: sequence.name, value: String(limit), called: true }
      : { name: sequence.name, value, called };
  const restart = called ? null : reserve === 0n ? limit : last;
  return { destination, fence: limitAt(schema, sequence, limit, restart), waitedFor };
}

/**
 * ALTER SEQUENCE that makes the given value the last one. A sequence that was never called is restarted: at that value,
 * which is nobody's, or where its reserve begins, wherever an earlier limit has put it.
 */
function limitAt(schema: string, sequence: Sequence, limit: bigint, restart: bigint | null): string | null {
  const up = BigInt(sequence.increment) > 0n;
  const [lowest, highest] = [BigInt(sequence.lowest), BigInt(sequence.highest)];
  const [min, max] = up
    ? [smaller(BigInt(sequence.min), limit - 1n), limit]
    : [limit, larger(BigInt(sequence.max), limit + 1n)];
  if (min < lowest || max > highest) return null;
  const start = larger(min, smaller(max, BigInt(sequence.start)));
  return (
    `ALTER SEQUENCE ${qualified(schema, sequence.name)} NO CYCLE MINVALUE ${min} MAXVALUE ${max} START ${start}` +
    (restart === null ? "" : ` RESTART ${restart}`)
  );
}

/** Locks a sequence, whose nextval() no table lock stops: the owner that it has already changes nothing. */
export const lockSequence = (schema: string, { name, owner }: Pick<Sequence, "name" | "owner">): string =>
  `ALTER SEQUENCE ${qualified(schema, name)} OWNER TO ${ident(owner)}`;

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
