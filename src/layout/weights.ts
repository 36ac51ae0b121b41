import { type ClientBase, type QueryArrayResult, type QueryResult, types } from "pg";

import { messageOf, ShardferryError } from "../errors.ts";
import { ident, literal } from "../postgres/quote.ts";

/** The weight of one shard, as `--weight-sql` returns it. */
export interface Weight {
  readonly weight: number;
  readonly unit: string;
  readonly other: Readonly<Record<string, string>>;
}

/**
 * Shards per round trip. One batch is one transaction: it holds a lock on each table and index that it has read,
 * and by default a server has room for some 6,000 locks.
 */
const BATCH = 20;
/** The column that marks where the result for the next shard begins. */
const MARK = "shardferry_weight_of";

/** A query that the operator wants to be run in each shard. */
export interface ShardQuery {
  readonly sql: string;
  /** The option that specified it, and the code of its errors. */
  readonly option: string;
  readonly code: string;
}

/** Runs a query once for each shard, with that shard as the search path, and reads weights from the results. */
export async function customWeights(
  client: ClientBase,
  schemas: readonly string[],
  sql: string,
): Promise<{ name: string | null; weights: Map<string, Weight> }> {
  const found = await askShards(client, schemas, { sql, option: "--weight-sql", code: "weight_sql" });
  const weights = new Map(schemas.map((schema) => [schema, toWeight(schema, found.get(schema))] as const));
  const name = [...found.values()].find(({ fields }) => fields.length > 0)?.fields[0]?.name ?? null;
  // "?column?" is PostgreSQL's name for a column without a name.
  return { name: name?.startsWith("?") ? null : name, weights };
}

/** Runs a query once for each shard, with that shard as the search path; rows are arrays. It can only read. */
export async function askShards(
  client: ClientBase,
  schemas: readonly string[],
  { sql, option, code }: ShardQuery,
): Promise<Map<string, QueryResult>> {
  const found = new Map<string, QueryResult>();
  const query = { sql: sql.trim().replace(/;+$/, ""), option, code };
  // Listing and planning are not expected to change anything.
  await client.query("SET default_transaction_read_only TO on");
  for (let i = 0; i < schemas.length; i += BATCH) {
    for (const [schema, answer] of await ask(client, schemas.slice(i, i + BATCH), query))
      found.set(schema, answer);
  }
  await client.query("RESET search_path; SET default_transaction_read_only TO off");
  return found;
}

async function ask(
  client: ClientBase,
  batch: readonly string[],
  query: ShardQuery,
): Promise<Map<string, QueryResult>> {
  const text = batch
    .map(
      (schema) =>
        `SET search_path TO ${ident(schema)};\nSELECT ${literal(schema)} AS ${MARK};\n${query.sql}\n;`,
    )
    .join("\n");
  try {
    const result = await client.query({ text, rowMode: "array", types: { getTypeParser } });
    // For several statements node-postgres returns a list, which its types do not declare.
    return answers(result as unknown as QueryArrayResult[]);
  } catch (cause) {
    // One by one, to find the shard in which it fails.
    if (batch.length > 1) for (const schema of batch) await ask(client, [schema], query);
    const text = `${query.option} failed in shard ${batch[0]!}: ${messageOf(cause)}`;
    throw new ShardferryError(query.code, text, { cause });
  }
}

/** Types of days and times, whose text depends on the datestyle of the database; node-postgres reads only ISO. */
const TIMES: readonly number[] = [types.builtins.DATE, types.builtins.TIMESTAMP, types.builtins.TIMESTAMPTZ];

function getTypeParser(oid: number): (text: string) => unknown {
  const parse = types.getTypeParser(oid) as (text: string) => unknown;
  return TIMES.includes(oid) ? (text) => parse(text) ?? text : parse;
}

/** Pairs each shard with the last result that has columns. */
function answers(results: readonly QueryResult[]): Map<string, QueryResult> {
  const found = new Map<string, QueryResult>();
  let schema = "";
  for (const result of results) {
    if (result.fields[0]?.name === MARK) schema = String((result.rows[0] as unknown[])[0]);
    else if (schema !== "" && result.fields.length > 0) found.set(schema, result);
  }
  return found;
}

function toWeight(schema: string, answer: QueryResult | undefined): Weight {
  const { fields, rows } = answer ?? { fields: [], rows: [] };
  const row = (rows[0] ?? []) as unknown[];
  const quantity = parseQuantity(row[0]);
  // If a mistake counted as 0, heavy shards would be moved.
  if (fields.length === 0 || !quantity) {
    const what = fields.length === 0 ? "nothing" : `"${show(row[0])}"`;
    const text = `--weight-sql returns ${what} in shard ${schema}: its first column has to be a number of 0 or more, with an optional unit`;
    throw new ShardferryError("weight_sql", text);
  }
  const other = fields.slice(1).map((field, i) => [field.name, show(row[i + 1])] as const);
  return { ...quantity, other: Object.fromEntries(other) };
}

/** Reads a number with an optional unit, such as `12.5 MB`; 0 for no row and NULL, and null for anything else. */
export function parseQuantity(value: unknown): Pick<Weight, "weight" | "unit"> | null {
  const given = show(value);
  if (given.trim() === "") return { weight: 0, unit: "" };
  const [, number, unit] = /^\s*(\d*\.?\d+(?:e[+-]?\d+)?)\s*(.*?)\s*$/is.exec(given) ?? [];
  return number === undefined ? null : { weight: Number(number), unit: unit ?? "" };
}

/** A value as text; times are written as in PostgreSQL's JSON. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) return value.toISOString();
  return typeof value === "string" ? value : JSON.stringify(value);
}
