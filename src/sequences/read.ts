import type { ClientBase } from "pg";

import { ident, qualified } from "../postgres/quote.ts";
import { highest, type SequenceNumbers } from "./own-values.ts";

const TYPES: Readonly<Record<number, string>> = { 2: "int2", 4: "int4", 8: "int8" };

/** A column that gets its values from a sequence. */
interface FedColumn {
  readonly table: string;
  readonly column: string;
  /** Bytes of its type, if that is an integer type; null for numeric, which holds every value. */
  readonly width: number | null;
  /** True if its largest value can be found without reading the table. */
  readonly indexed: boolean;
}

/** A sequence of a shard, with the columns that it feeds. */
export interface ShardSequence {
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
  readonly numbers: SequenceNumbers;
  readonly cycle: boolean;
  /** Bytes of the narrowest type into which its values have to fit. */
  readonly width: number;
  readonly columns: readonly FedColumn[];
}

interface Row extends Omit<ShardSequence, "numbers" | "width" | "columns"> {
  oid: string;
  increment: string;
  min: string;
  max: string;
  start: string;
  bytes: number;
}

/**
 * Reads the sequences of some schemas, in order. Their columns are read for all of them at once: with old statistics of
 * the catalogs (after pg_restore or pg_upgrade), a query for each of thousands of sequences took minutes.
 */
export async function readSequences(
  client: ClientBase,
  schemas: readonly string[],
): Promise<ShardSequence[]> {
  const { rows } = await client.query<Row>(SEQUENCES_SQL, [schemas]);
  const fed = await client.query<FedColumn & { sequence: string }>(FED_SQL, [rows.map(({ oid }) => oid)]);
  const columnsOf = new Map<string, FedColumn[]>(rows.map(({ oid }) => [oid, []]));
  for (const { sequence, ...column } of fed.rows) columnsOf.get(sequence)!.push(column);
  return rows.map(({ oid, increment, min, max, start, bytes, ...row }) => {
    const columns = columnsOf.get(oid)!;
    const numbers = {
      increment: BigInt(increment),
      min: BigInt(min),
      max: BigInt(max),
      start: BigInt(start),
    };
    return {
      ...row,
      columns,
      numbers,
      width: Math.min(bytes, ...columns.map(({ width }) => width ?? bytes)),
    };
  });
}

const SEQUENCES_SQL = `
  SELECT c.oid::text, n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner, s.seqcycle AS cycle,
    s.seqincrement AS increment, s.seqmin AS min, s.seqmax AS max, s.seqstart AS start, y.typlen AS bytes
  FROM pg_namespace n
  JOIN pg_class c ON c.relnamespace = n.oid
  JOIN pg_sequence s ON s.seqrelid = c.oid
  JOIN pg_type y ON y.oid = s.seqtypid
  WHERE n.nspname = ANY ($1::text[])
  ORDER BY n.nspname, c.relname`;

/** Columns are found by ownership (serial, identity) and by defaults that name the sequence. */
const FED_SQL = `
  SELECT fed.sequence::text, t.relname AS table, a.attname AS column,
    CASE WHEN b.typname = 'numeric' THEN NULL ELSE b.typlen END AS width,
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indkey[0] = a.attnum AND i.indisvalid
      AND i.indpred IS NULL) AS indexed
  FROM (
    SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND objid = ANY ($1::oid[]) AND refclassid = 'pg_class'::regclass
      AND deptype IN ('a', 'i') AND refobjsubid > 0
    UNION
    SELECT x.refobjid, d.adrelid, d.adnum FROM pg_depend x JOIN pg_attrdef d ON d.oid = x.objid
    WHERE x.classid = 'pg_attrdef'::regclass AND x.refclassid = 'pg_class'::regclass AND x.refobjid = ANY ($1::oid[])
  ) AS fed
  JOIN pg_class c ON c.oid = fed.sequence
  JOIN pg_class t ON t.oid = fed.relation AND t.relnamespace = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = fed.number
  JOIN pg_type own ON own.oid = a.atttypid
  JOIN pg_type b ON b.oid = COALESCE(NULLIF(own.typbasetype, 0), own.oid)
  WHERE b.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
  ORDER BY t.relname, a.attname`;

/** The current value of a sequence. */
interface SequenceState {
  readonly value: bigint;
  readonly called: boolean;
}

/** A question about a sequence: its current value, and the last value within bounds that it or some columns have. */
export interface Question {
  readonly sequence: ShardSequence;
  readonly bounds: Pick<SequenceNumbers, "min" | "max" | "increment">;
  readonly columns: readonly FedColumn[];
}

export interface Answer {
  readonly state: SequenceState;
  /** The largest for a sequence that counts up, the smallest for one that counts down; null if there is none. */
  readonly last: bigint | null;
}

/** Sequences per query: a round trip for each would take minutes for ten thousand shards. */
const BATCH = 100;

/**
 * Reads the current values of sequences and which values are used. The columns of each sequence are seen as they were a
 * moment before the sequence, so that an id from it never seems to be beyond it.
 */
export async function readUsed(client: ClientBase, questions: readonly Question[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let start = 0; start < questions.length; start += BATCH) {
    const batch = questions.slice(start, start + BATCH);
    const values: string[] = [];
    const parts = batch.map((question, i) => `SELECT ${i} AS place, ${usedSql(question, values)}`);
    const { rows } = await client.query<{ value: string; called: boolean; used: (string | null)[] }>(
      `${parts.join("\nUNION ALL\n")}\nORDER BY place`,
      values,
    );
    answers.push(...rows.map((row, i) => answerOf(batch[i]!, row)));
  }
  return answers;
}

function usedSql({ sequence, bounds, columns }: Question, values: string[]): string {
  const { min, max, increment } = bounds;
  const used = columns.map(({ table, column, width }) => {
    // Of the column's own type, so that an index can be used.
    const type = TYPES[width ?? 0] ?? "numeric";
    const limit = width === null ? max : highest(width);
    const last = values.push(String(min < -limit ? -limit : min), String(max > limit ? limit : max));
    return `(SELECT trunc(${increment > 0n ? "max" : "min"}(${ident(column)})::numeric)::text
      FROM ${qualified(sequence.schema, table)} WHERE ${ident(column)} BETWEEN $${last - 1}::${type} AND $${last}::${type})`;
  });
  return `last_value AS value, is_called AS called, ARRAY[${used.join(", ")}]::text[] AS used
    FROM ${qualified(sequence.schema, sequence.name)}`;
}

/** The value before the next one; null if nobody has called or set the sequence, or chosen where it begins. */
function reachedBy({ numbers }: ShardSequence, { value, called }: SequenceState): bigint | null {
  if (called) return value;
  const untouched = numbers.increment > 0n ? numbers.min : numbers.max;
  return value === untouched ? null : value - numbers.increment;
}

function answerOf(
  { sequence, bounds: { min, max, increment } }: Question,
  row: { value: string; called: boolean; used: (string | null)[] },
): Answer {
  const state = { value: BigInt(row.value), called: row.called };
  const used = row.used.flatMap((one) => (one === null ? [] : [BigInt(one)]));
  const reached = reachedBy(sequence, state);
  if (reached !== null && reached >= min && reached <= max) used.push(reached);
  return { state, last: furthest(used, increment) };
}

/** The last of some values in the direction in which a sequence counts; null if there are none. */
export const furthest = (values: readonly bigint[], increment: bigint): bigint | null =>
  values.reduce<bigint | null>(
    (last, one) => (last === null || (increment > 0n ? one > last : one < last) ? one : last),
    null,
  );
