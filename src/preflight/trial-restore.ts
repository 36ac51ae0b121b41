import { messageOf } from "../errors.ts";
import { shorten } from "../format.ts";
import { lackOf, outlookOfSqlstate } from "../postgres/errors/outlook.ts";
import { isSqlstate, sqlstateOf } from "../postgres/errors/sqlstate.ts";
import { undoDefaultPrivileges } from "../postgres/schema/default-privileges.ts";
import { dumpSchema, type SchemaDump } from "../postgres/schema/dump.ts";
import { grants, placed, type Statement } from "../postgres/schema/dump-statements.ts";
import { inWordsOf } from "../postgres/schema/for-older-server.ts";
import { readSchema } from "../postgres/schema/tables.ts";
import { whileLooking } from "../postgres/session.ts";
import type { Check, CheckContext } from "./check.ts";

/**
 * An older server may not understand the DDL of a newer one, from NULLS NOT DISTINCT to a function used in a view. So
 * the whole structure is created there once, without rows, in a transaction that is rolled back.
 */
export const olderServerUnderstands: Check = async (context) => {
  const { destination, request, from, to } = context;
  if (to.identity.serverMajor >= from.identity.serverMajor) return [];
  // A leftover of an earlier attempt of this workflow has already passed this check.
  if ((await readSchema(destination, request.schema)).exists) return [];
  const { preData, postData } = await dumpOf(context);
  let sql = "";
  try {
    await destination.query("BEGIN; SET LOCAL search_path = ''; SET LOCAL check_function_bodies = off");
    const run = async (statements: readonly Statement[]): Promise<void> => {
      for (const statement of statements) {
        sql = statement.sql;
        await destination.query(placed(statement));
        context.alive();
      }
    };
    const all = await inWordsOf(to.identity.serverMajor, preData);
    await run(all.filter((statement) => !grants(statement)));
    await undoDefaultPrivileges(destination, request.schema);
    await run([...all.filter(grants), ...postData]);
    return [];
  } catch (error) {
    const code = sqlstateOf(error);
    // A server that lacks something, or goes down, says nothing about the statement.
    if (!isSqlstate(code) || lackOf(code) !== null) throw error;
    if (outlookOfSqlstate(code) === "passes") return [];
    if (outlookOfSqlstate(code) === "may pass") throw error;
    return [
      `${to.name} (PostgreSQL ${to.version}) does not understand an object of schema "${request.schema}" on ${from.name} ` +
        `(PostgreSQL ${from.version}): ${messageOf(error)}, in ${shorten(sql.replaceAll(/\s+/g, " "), 300)}: change that object, or move to a newer server`,
    ];
  } finally {
    // A lost connection has rolled back; its own error tells more.
    await destination.query("ROLLBACK").catch(() => undefined);
  }
};

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
