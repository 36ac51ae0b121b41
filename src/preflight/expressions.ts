import type { ClientBase } from "pg";

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
  const { rows } = await within(source, "", () => source.query<Expression>(EXPRESSIONS, [request.schema]));
  const safe = to.identity.serverMajor >= SAFE_REFRESH;
  const refreshing = safe ? "" : await searchPathFor(source, request.schema);
  const problems: string[] = [];
  for (const { what, table, sql, columns, remedies } of rows) {
    const failure = await failureOf(() =>
      table === null
        ? within(source, refreshing, () => source.query(`SELECT * FROM (${sql}) query LIMIT 1`))
        : within(source, "", () => evaluate(source, qualified(request.schema, table), sql, columns)),
    );
    alive();
    if (failure !== null)
      problems.push(
        `${what} on ${from.name} calls a function that fails where search_path is empty, as it is in the workers of a ` +
          `subscription and in maintenance (${failure}): ${remedies.join("; ")}`,
      );
  }
  return problems;
};

/** Runs something in a transaction with a search_path that changes nothing, even if it calls functions that would. */
async function within<T>(source: ClientBase, searchPath: string, run: () => Promise<T>): Promise<T> {
  await source.query("BEGIN READ ONLY");
  try {
    await source.query(
      `SELECT set_config('search_path', $1, true), set_config('statement_timeout', '${PATIENCE_MS}', true)`,
      [searchPath],
    );
    return await run();
  } finally {
    // A lost connection has rolled back; its own error tells more.
    await source.query("ROLLBACK").catch(() => undefined);
  }
}

/** Computes an expression for a row without NULLs in the columns that matter, or for any, or for one that is all NULL. */
async function evaluate(
  source: ClientBase,
  table: string,
  sql: string,
  columns: readonly string[],
): Promise<void> {
  const filled = columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
  const rows = [`${table} WHERE ${filled || "true"}`, table, `(SELECT (NULL::${table}).*) empty`];
  for (const row of rows) if ((await source.query(`SELECT ${sql} FROM ${row} LIMIT 1`)).rowCount) return;
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
