import type { ClientBase, QueryArrayResult, QueryResult } from "pg";

import { messageOf, ShardferryError } from "../errors.ts";
import { ident, literal } from "../postgres/quote.ts";

/** The weight of one shard, as `--weight-sql` answers it. */
export interface Weight {
  readonly weight: number;
  readonly unit: string;
  readonly other: Readonly<Record<string, string>>;
}

/**
 * Shards asked in one round trip. One batch is one transaction: it holds a lock on each table and index that it
 * looked at, of which a server has room for some 6,000 by default.
 */
const BATCH = 20;
/** Column that marks where the answer of the next shard begins. */
const MARK = "shardferry_weight_of";

/** Runs a query once for each shard, with that shard as the search path, and reads weights from the answers. */
export async function customWeights(
  client: ClientBase,
  schemas: readonly string[],
  sql: string,
): Promise<{ name: string | null; weights: Map<string, Weight> }> {
  const weights = new Map<string, Weight>();
  const query = sql.trim().replace(/;+$/, "");
  let name: string | null = null;
  // Who lists or plans does not expect to change anything.
  await client.query("SET default_transaction_read_only TO on");
  for (let i = 0; i < schemas.length; i += BATCH) {
    for (const [schema, answer] of await ask(client, schemas.slice(i, i + BATCH), query)) {
      name ??= answer.fields[0]?.name ?? null;
      weights.set(schema, toWeight(answer));
    }
  }
  await client.query("RESET search_path; RESET default_transaction_read_only");
  // "?column?" is PostgreSQL's word for a column that was given no name.
  return { name: name?.startsWith("?") ? null : name, weights };
}

async function ask(
  client: ClientBase,
  batch: readonly string[],
  query: string,
): Promise<Map<string, QueryResult>> {
  const text = batch
    .map(
      (schema) => `SET search_path TO ${ident(schema)};\nSELECT ${literal(schema)} AS ${MARK};\n${query}\n;`,
    )
    .join("\n");
  try {
    // node-postgres answers a list for several statements, which its types do not say.
    return answers((await client.query({ text, rowMode: "array" })) as unknown as QueryArrayResult[]);
  } catch (cause) {
    // One by one, to find the shard that it fails in.
    if (batch.length > 1) for (const schema of batch) await ask(client, [schema], query);
    throw new ShardferryError(
      "weight_sql",
      `--weight-sql failed in shard ${batch[0]!}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Pairs each shard with the last answer that has columns. */
function answers(results: readonly QueryResult[]): Map<string, QueryResult> {
  const found = new Map<string, QueryResult>();
  let schema = "";
  for (const result of results) {
    if (result.fields[0]?.name === MARK) schema = String((result.rows[0] as unknown[])[0]);
    else if (schema !== "" && result.fields.length > 0) found.set(schema, result);
  }
  return found;
}

function toWeight({ fields, rows }: QueryResult): Weight {
  const row = (rows[0] ?? []) as unknown[];
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(.*?)\s*$/is.exec(show(row[0])) ?? [];
  const other = fields.slice(1).map((field, i) => [field.name, show(row[i + 1])] as const);
  return { weight: Number(number ?? 0), unit: unit ?? "", other: Object.fromEntries(other) };
}

function show(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
