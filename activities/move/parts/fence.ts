import type { ClientBase } from "pg";

import { ident, literal, qualified } from "../../../src/postgres/quote.ts";
import { FENCE } from "../../../src/postgres/schema/copy-names.ts";

const createFunction = (schema: string, body: string): string =>
  `CREATE OR REPLACE FUNCTION ${qualified(schema, FENCE)}() RETURNS trigger LANGUAGE plpgsql AS ${literal(body)}`;

/**
 * SQL for triggers that turn a write to an old copy into the error that everybody else gets. Those who reach its tables by
 * their OIDs, such as a view of another schema, would otherwise go on writing there, and lose what they write. Workers that
 * apply changes do not fire them.
 */
export function fenceSql(schema: string, peer: string, tables: readonly string[]): string[] {
  if (tables.length === 0) return [];
  const begin = literal(`relation "${schema}.`);
  const end = literal(`" does not exist: the shard has moved to ${peer}`);
  return [
    createFunction(
      schema,
      `BEGIN RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = ${begin} || TG_TABLE_NAME || ${end}; END`,
    ),
    ...tables.map(
      (table) =>
        `CREATE TRIGGER ${FENCE} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${qualified(schema, table)} ` +
        `FOR EACH STATEMENT EXECUTE FUNCTION ${qualified(schema, FENCE)}()`,
    ),
  ];
}

/**
 * SQL that lets writers through, whatever the number of tables: dropping the triggers would need a lock on each table,
 * under that of the switch.
 */
export const liftFenceSql = (schema: string): string => createFunction(schema, "BEGIN RETURN NULL; END");

/** Returns the tables of a schema that are fenced. */
export async function readFenced(client: ClientBase, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name
     FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND t.tgname = $2 AND NOT t.tgisinternal AND t.tgparentid = 0
     ORDER BY 1`,
    [schema, FENCE],
  );
  return rows.map(({ name }) => name);
}

/** SQL that drops the fence of a table. */
export const dropFenceSql = (schema: string, table: string): string =>
  `DROP TRIGGER IF EXISTS ${FENCE} ON ${qualified(schema, table)}`;

/** SQL that drops the function of the fences, once no table has one. */
export const dropFenceFunctionSql = (schema: string): string =>
  `DROP FUNCTION IF EXISTS ${qualified(schema, FENCE)}()`;

/** Renames a schema. */
export const renameSql = (schema: string, name: string): string =>
  `ALTER SCHEMA ${ident(schema)} RENAME TO ${ident(name)}`;
