import type { ClientBase } from "pg";

import { allEnd } from "../all-end.ts";
import { bytes } from "../format.ts";
import { findApiSchema, isCurrent } from "../postgres/api/install.ts";
import { activeShardsSql, schemaNameSql } from "../postgres/api/shards.ts";
import { ident, qualified } from "../postgres/quote.ts";
import type { Table } from "../postgres/schema/tables.ts";
import type { Check, Server } from "./check.ts";

/** Maximum size of tables that can only be copied while writers wait: about one second. */
const MAX_LOCKED_BYTES = 100 << 20;

/** Both islands need the SQL API, and the shard has to be active on the source only. */
export const activation: Check = async ({ kind, shard, source, destination, request, from, to }) => {
  if (kind === "copy") return [];
  const problems: string[] = [];
  const isActive = async (client: ClientBase, server: Server): Promise<boolean> => {
    const apiSchema = await findApiSchema(client);
    if (apiSchema === null || !(await isCurrent(client, apiSchema))) {
      const state = apiSchema === null ? "is not installed" : "has a different version";
      problems.push(`the SQL API ${state} on ${server.name}: run "shardferry install"`);
      return server === from;
    }
    const { rows } = await client.query<{ name: string; active: boolean }>(
      `SELECT ${schemaNameSql(apiSchema, "$1")} AS name,
         EXISTS (SELECT FROM (${activeShardsSql({ schema: apiSchema })}) shard WHERE nspname = $2) AS active`,
      [shard, request.schema],
    );
    if (rows[0]!.name !== request.schema) {
      problems.push(
        `shard ${shard} is named "${rows[0]!.name}" on ${server.name}, not "${request.schema}": install the SQL API with the same --schema-name-fmt everywhere`,
      );
    }
    return rows[0]!.active;
  };
  const [here, there] = await allEnd([isActive(source, from), isActive(destination, to)]);
  if (!here) problems.push(`shard "${request.schema}" is not active on ${from.name}`);
  if (there) problems.push(`shard "${request.schema}" is already active on ${to.name}`);
  return problems;
};

/** Tables that cannot be replicated are copied under the lock with triggers off, as a replica would apply them. */
export const lockedCopies: Check = async ({ tables, from, to, destination }) => {
  const locked = tables.filter(needsLockedCopy);
  const { rows } = await destination.query<{ allowed: boolean }>(
    to.identity.serverMajor >= 15
      ? "SELECT has_parameter_privilege('session_replication_role', 'SET') AS allowed"
      : "SELECT rolsuper AS allowed FROM pg_roles WHERE rolname = current_user",
  );
  if (locked.length === 0 || rows[0]!.allowed) return tooLargeToLock(locked, from.name);
  const remedy =
    to.identity.serverMajor >= 15
      ? `GRANT SET ON PARAMETER session_replication_role TO ${ident(to.role)}`
      : "a superuser is needed before PostgreSQL 15";
  return [
    `table "${locked[0]!.name}" on ${from.name} is copied with its triggers off, and role ${to.role} may not turn them off on ${to.name}: ${remedy}`,
  ];
};

/** Refuses to copy large tables while writers wait for a lock: names the largest if they are too large in total. */
export function tooLargeToLock(locked: readonly Table[], island: string, limit = MAX_LOCKED_BYTES): string[] {
  const all = locked.reduce((sum, table) => sum + table.bytes, 0);
  if (all <= limit) return [];
  const largest = [...locked].sort((a, b) => b.bytes - a.bytes).slice(0, 5);
  return largest.map(({ name, unlogged, bytes: size }) => {
    const what = unlogged
      ? `unlogged table "${name}" on ${island}`
      : `table "${name}" on ${island}, which has no key and columns that cannot be compared (such as json or point), that are equal without being the same (such as float8, numeric without a scale, or citext), or that are generated,`;
    const remedy = unlogged ? "ALTER TABLE … SET LOGGED, or empty it" : "add a primary key";
    return (
      `${what} can only be copied while writers wait, and is too large for that (${bytes(size)} of the ${bytes(all)} ` +
      `of such tables; the limit is ${bytes(limit)}): ${remedy}`
    );
  });
}

/** True for unlogged tables, and for tables without a key for which REPLICA IDENTITY FULL does not work. */
export const needsLockedCopy = (
  table: Pick<Table, "kind" | "unlogged" | "hasIdentity" | "comparable">,
): boolean => table.kind === "r" && (table.unlogged || (!table.hasIdentity && !table.comparable));

/** Large objects belong to the database, not to a schema, and are not replicated. */
export const largeObjects: Check = async ({ source, request, from }) => {
  const { rows: any } = await source.query<{ some: boolean }>(
    "SELECT EXISTS (SELECT FROM pg_largeobject_metadata) AS some",
  );
  if (!any[0]!.some) return [];
  const { rows: columns } = await source.query<{ table: string; column: string }>(
    `SELECT c.relname AS table, a.attname AS column
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     JOIN pg_type t ON t.oid = a.atttypid
     WHERE n.nspname = $1 AND c.relkind = 'r' AND (t.oid = 'oid'::regtype OR t.typbasetype = 'oid'::regtype)`,
    [request.schema],
  );
  const isUsed = async ({ table, column }: (typeof columns)[number]): Promise<boolean> => {
    const { rows } = await source.query<{ used: boolean }>(
      `SELECT EXISTS (
         SELECT FROM ${qualified(request.schema, table)} t JOIN pg_largeobject_metadata m ON m.oid = t.${ident(column)}::oid
       ) AS used`,
    );
    return rows[0]!.used;
  };
  const used = await allEnd(columns.map(isUsed));
  return columns
    .filter((_, i) => used[i])
    .map(
      ({ table, column }) =>
        `column "${column}" of table "${table}" on ${from.name} refers to large objects, which cannot be moved: keep them in a bytea column`,
    );
};

/**
 * Both the text format of money and how it is read depend on lc_monetary, and replication may send values as text.
 */
export const moneyFormat: Check = async ({ source, destination, request, from, to }) => {
  const { rows } = await source.query<{ table: string; column: string }>(
    `SELECT c.relname AS table, a.attname AS column
     FROM pg_class c
     JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.atttypid IN ('money'::regtype, 'money[]'::regtype)
     LIMIT 1`,
    [request.schema],
  );
  const column = rows[0];
  if (!column) return [];
  const format = async (client: ClientBase): Promise<{ locale: string; sample: string }> => {
    const { rows } = await client.query<{ locale: string; sample: string }>(
      "SELECT current_setting('lc_monetary') AS locale, (-1234567.89)::numeric::money::text AS sample",
    );
    return rows[0]!;
  };
  const [here, there] = await allEnd([format(source), format(destination)]);
  if (here.sample === there.sample) return [];
  return [
    `column "${column.column}" of table "${column.table}" on ${from.name} is of type money, and lc_monetary is ${here.locale} there but ` +
      `${there.locale} on ${to.name}: ALTER DATABASE … SET lc_monetary = '${here.locale}' on ${to.name}`,
  ];
};
