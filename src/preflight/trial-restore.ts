import type { ClientBase } from "pg";

import { messageOf } from "../errors.ts";
import { shorten } from "../format.ts";
import { outlookOfSqlstate, refusesStatement } from "../postgres/errors/outlook.ts";
import { classOf, isSqlstate, SQLSTATE_CLASS, sqlstateOf } from "../postgres/errors/sqlstate.ts";
import { undoDefaultPrivileges } from "../postgres/schema/default-privileges.ts";
import { dumpSchema, type SchemaDump } from "../postgres/schema/dump.ts";
import { grants, placed, type Statement } from "../postgres/schema/dump-statements.ts";
import { inWordsOf } from "../postgres/schema/for-older-server.ts";
import { readSchema } from "../postgres/schema/tables.ts";
import { whileLooking } from "../postgres/session.ts";
import type { Check, CheckContext } from "./check.ts";
import { roomToTry } from "./locks.ts";

/** Statements that are tried together. */
const BATCH = 100;

/**
 * A server of another version, even a minor one, or of another build may not accept the DDL of the source: from NULLS NOT
 * DISTINCT to a function used in a view, or a collation of ICU. So the whole structure is created there once, without
 * rows, in a transaction that is rolled back.
 */
export const acceptsStructure: Check = async (context) => {
  const { destination, request, from, to } = context;
  if (to.build === from.build) return [];
  // A leftover of an earlier attempt of this workflow has already passed this check.
  if ((await readSchema(destination, request.schema)).exists) return [];
  // Trying it must not take the locks that the other sessions of the server need.
  if (!(await roomToTry(context))) return [];
  const { preData, postData } = await inWordsOf(to.identity.serverMajor, await dumpOf(context));
  const refused: Refusal[] = [];
  try {
    await destination.query("BEGIN; SET LOCAL search_path = ''; SET LOCAL check_function_bodies = off");
    refused.push(
      ...(await tryAll(
        context,
        preData.filter((statement) => !grants(statement)),
      )),
    );
    if (refused.length === 0) await undoDefaultPrivileges(destination, request.schema);
    refused.push(...(await tryAll(context, [...preData.filter(grants), ...postData])));
  } catch (error) {
    // A server that lacks something, or goes down, says nothing about the structure.
    if (isSqlstate(sqlstateOf(error)) && outlookOfSqlstate(sqlstateOf(error)) === "passes") return [];
    throw error;
  } finally {
    // A lost connection has rolled back; its own error tells more.
    await destination.query("ROLLBACK").catch(() => undefined);
  }
  return withoutConsequences(refused).map(
    ({ statement, error }) =>
      `${to.name} (PostgreSQL ${to.version}) does not accept an object of schema "${request.schema}" on ${from.name} ` +
      `(PostgreSQL ${from.version}): ${messageOf(error)}, in ${shorten(statement.sql.replaceAll(/\s+/g, " "), 300)}: ` +
      `change that object, or move to a server of the same version and build`,
  );
};

/** A statement that the destination does not accept. */
interface Refusal {
  statement: Statement;
  error: Error;
}

async function tryAll(
  { destination, alive }: CheckContext,
  statements: readonly Statement[],
): Promise<Refusal[]> {
  const refused: Refusal[] = [];
  for (let start = 0; start < statements.length; start += BATCH) {
    refused.push(...(await tryTogether(destination, statements.slice(start, start + BATCH))));
    alive();
  }
  return refused;
}

/** Runs statements together; if they fail, looks in one half after the other for those that are refused. */
async function tryTogether(client: ClientBase, statements: readonly Statement[]): Promise<Refusal[]> {
  // By itself: of statements that are sent together, none runs if one of them has a syntax error.
  await client.query("SAVEPOINT trial");
  try {
    await client.query(`${statements.map(placed).join(";\n")};\nRELEASE trial`);
    return [];
  } catch (error) {
    if (!refusesStatement(error)) throw error;
    await client.query("ROLLBACK TO trial; RELEASE trial");
    if (statements.length === 1) return [{ statement: statements[0]!, error: error as Error }];
    const half = Math.ceil(statements.length / 2);
    return [
      ...(await tryTogether(client, statements.slice(0, half))),
      ...(await tryTogether(client, statements.slice(half))),
    ];
  }
}

/** Leaves out statements that were refused only because they need an object that was refused before. */
function withoutConsequences(refused: readonly Refusal[]): Refusal[] {
  const causes: Refusal[] = [];
  const lacking = new Set<string>();
  for (const refusal of refused) {
    const { statement, error } = refusal;
    const misses =
      classOf(sqlstateOf(error)) === SQLSTATE_CLASS.syntaxErrorOrAccessRuleViolation &&
      [...lacking].some((name) => mentions(error.message, name));
    if (!misses) causes.push(refusal);
    if (statement.name !== null) lacking.add(statement.name);
  }
  return causes;
}

/** True if a message has a name as a whole: relation "sh0001.t" does not exist, function sh0001.f(integer) does not. */
const mentions = (message: string, name: string): boolean =>
  new RegExp(String.raw`(?<![\w$])${name.replaceAll(/[^\w]/g, String.raw`\$&`)}(?![\w$])`).test(message);

/** Milliseconds between two heartbeats while pg_dump is running. */
const LOOK_EVERY_MS = 500;

/** Dumps the source's schema, which may take long if there are many others. */
async function dumpOf({ source, islands, request, from, alive }: CheckContext): Promise<SchemaDump> {
  const look = async (): Promise<void> => {
    await source.query("SELECT");
    alive();
  };
  return whileLooking(LOOK_EVERY_MS, [look], () =>
    dumpSchema(islands.dsn(request.from), request.schema, from.identity),
  );
}
