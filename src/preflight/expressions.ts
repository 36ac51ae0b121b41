import type { ClientBase, QueryConfig, QueryResult } from "pg";

import { allEnd } from "../all-end.ts";
import { messageOf } from "../errors.ts";
import { outlookOfSqlstate } from "../postgres/errors/outlook.ts";
import {
  classOf,
  hasSqlstate,
  isSqlstate,
  SQLSTATE,
  SQLSTATE_CLASS,
  sqlstateOf,
} from "../postgres/errors/sqlstate.ts";
import { qualified } from "../postgres/quote.ts";
import { searchPathFor } from "../postgres/schema/materialized-views.ts";
import type { Check } from "./check.ts";
import { EXPRESSIONS } from "./expressions-sql.ts";

/** Milliseconds for which the evaluation of one expression may take. */
const PATIENCE_MS = 1000;

/** Expressions that are computed at once. */
const BATCH = 100;

/** Since this version, REFRESH of a materialized view has a safe search_path of its own. */
const SAFE_REFRESH = 17;

/** Something that is computed on the destination while rows arrive. */
interface Expression {
  /** In words. */
  what: string;
  /** Its table; null for the query of a materialized view. */
  table: string | null;
  sql: string;
  /** The columns that it reads: where they are NULL, it proves little. */
  columns: string[];
  /** Statements that give the functions that it calls a search_path of their own. */
  remedies: string[];
}

/**
 * Functions that find what they use by search_path work in the application's sessions only: the workers of a subscription,
 * and since 17 all maintenance, have an empty one. So what computes with such functions is computed once on the source, for
 * one row, under an empty search_path: in a transaction that is read-only, short, and rolled back.
 */
export const expressionsWithoutPath: Check = async ({ source, request, from, to, alive }) => {
  // Names are written out if the path is empty.
  const [found] = await within(source, "", [{ text: EXPRESSIONS, values: [request.schema] }], 0);
  const expressions = resultOf(found!).rows as Expression[];
  const safe = to.identity.serverMajor >= SAFE_REFRESH;
  const refreshing = safe ? "" : await searchPathFor(source, request.schema);
  const examine = async ({ what, table, sql, columns, remedies }: Expression): Promise<string[]> => {
    const failure = await failureOf(() =>
      table === null
        ? evaluate(source, refreshing, [`SELECT * FROM (${sql}) query LIMIT 1`])
        : evaluate(source, "", forSomeRow(qualified(request.schema, table), sql, columns)),
    );
    alive();
    if (failure === null) return [];
    return [
      `${what} on ${from.name} calls a function that fails where search_path is empty, as it is in the workers of a ` +
        `subscription and in maintenance (${failure}): ${remedies.join("; ")}`,
    ];
  };
  const problems: string[] = [];
  for (let start = 0; start < expressions.length; start += BATCH)
    problems.push(...(await allEnd(expressions.slice(start, start + BATCH).map(examine))).flat());
  return problems;
};

/**
 * Runs statements in a transaction with a search_path that changes nothing, even if they call functions that would. All are
 * sent at once; after one that has failed, the others fail as well.
 */
async function within(
  source: ClientBase,
  searchPath: string,
  statements: readonly QueryConfig[],
  patienceMs = PATIENCE_MS,
): Promise<PromiseSettledResult<QueryResult>[]> {
  const begin = {
    text: `SELECT set_config('search_path', $1, true), set_config('statement_timeout', '${patienceMs}', true)`,
    values: [searchPath],
  };
  const all: QueryConfig[] = [{ text: "BEGIN READ ONLY" }, begin, ...statements, { text: "ROLLBACK" }];
  const [begun, set, ...outcomes] = await Promise.allSettled(all.map((one) => source.query(one)));
  for (const one of [begun!, set!]) resultOf(one);
  return outcomes.slice(0, -1);
}

function resultOf(outcome: PromiseSettledResult<QueryResult>): QueryResult {
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/** Runs queries until one returns a row. */
async function evaluate(source: ClientBase, searchPath: string, queries: readonly string[]): Promise<void> {
  const outcomes = await within(
    source,
    searchPath,
    queries.map((text) => ({ text })),
  );
  for (const outcome of outcomes) if (resultOf(outcome).rowCount) return;
}

/** Computes an expression for a row without NULLs in the columns that matter, or for any, or for one that is all NULL. */
function forSomeRow(table: string, sql: string, columns: readonly string[]): string[] {
  const filled = columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
  const rows = [`${table} WHERE ${filled || "true"}`, table, `(SELECT (NULL::${table}).*) empty`];
  return rows.map((row) => `SELECT ${sql} FROM ${row} LIMIT 1`);
}

/**
 * The message of an error that is about a name that is not found. All others say nothing: what takes long, writes, or does
 * not like the row.
 */
async function failureOf(run: () => Promise<unknown>): Promise<string | null> {
  try {
    await run();
    return null;
  } catch (error) {
    const code = sqlstateOf(error);
    if (!isSqlstate(code)) throw error;
    if (hasSqlstate(error, SQLSTATE.queryCanceled, SQLSTATE.insufficientPrivilege)) return null;
    if (outlookOfSqlstate(code) === "passes") throw error;
    const isName = classOf(code) === SQLSTATE_CLASS.syntaxErrorOrAccessRuleViolation;
    return isName || code === SQLSTATE.invalidSchemaName ? messageOf(error) : null;
  }
}
