import { findLibSchema, isCurrent } from "../../src/install.ts";
import { ident, qualified } from "../../src/postgres/quote.ts";
import type { Check } from "./context.ts";

/** Bytes of tables that can only be copied while writers wait: about a second's worth. */
export const MAX_LOCKED_BYTES = 100 << 20;

/** The SQL API on both islands, the shard active on the source and on the source only. */
export const activation: Check = async ({ kind, shard, source, destination, request, from, to }) => {
  if (kind === "copy") return [];
  const problems: string[] = [];
  const active: boolean[] = [];
  for (const [client, server] of [
    [source, from],
    [destination, to],
  ] as const) {
    const lib = await findLibSchema(client);
    if (lib === null || !(await isCurrent(client, lib))) {
      const state = lib === null ? "is not installed" : "is of another version";
      problems.push(`the SQL API ${state} on ${server.name}: run "shardferry install"`);
      active.push(server === from);
      continue;
    }
    const { rows } = await client.query<{ name: string; active: boolean }>(
      `SELECT ${ident(lib)}.microsharding_schema_name_($1) AS name,
         coalesce($2 = ANY (SELECT n.nspname FROM unnest(${ident(lib)}.microsharding_list_active_shards()) s JOIN pg_namespace n ON n.oid = s), false) AS active`,
      [shard, request.schema],
    );
    if (rows[0]!.name !== request.schema) {
      problems.push(
        `shard ${shard} is named "${rows[0]!.name}" on ${server.name}, not "${request.schema}": install the SQL API with one --schema-name-fmt everywhere`,
      );
    }
    active.push(rows[0]!.active);
  }
  if (!active[0]) problems.push(`shard "${request.schema}" is not active on ${from.name}`);
  if (active[1]) problems.push(`shard "${request.schema}" is active on ${to.name} already`);
  return problems;
};

/** Tables that replication cannot carry are copied under the lock, which is no place for large ones. */
export const lockedCopies: Check = ({ tables, from }) => {
  const locked = tables.filter((table) => needsLockedCopy(table));
  const bytes = locked.reduce((sum, table) => sum + table.bytes, 0);
  if (bytes <= MAX_LOCKED_BYTES) return Promise.resolve([]);
  return Promise.resolve(
    locked
      .filter((table) => table.bytes > MAX_LOCKED_BYTES / 10)
      .map((table) =>
        table.unlogged
          ? `unlogged table "${table.name}" on ${from.name} is too large to be copied while writers wait (${Math.round(table.bytes / 1e6)} MB): ALTER TABLE … SET LOGGED, or empty it`
          : `table "${table.name}" on ${from.name} has no key, and columns that cannot be compared (such as json or point), and is too large to be copied while writers wait: add a primary key`,
      ),
  );
};

/** True for unlogged tables, and for those without key whose rows cannot be told apart by comparing all columns. */
export const needsLockedCopy = (table: {
  kind: string;
  unlogged: boolean;
  hasIdentity: boolean;
  comparable: boolean;
}): boolean => table.kind === "r" && (table.unlogged || (!table.hasIdentity && !table.comparable));

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
  const problems: string[] = [];
  for (const { table, column } of columns) {
    const { rows } = await source.query<{ used: boolean }>(
      `SELECT EXISTS (
         SELECT FROM ${qualified(request.schema, table)} t JOIN pg_largeobject_metadata m ON m.oid = t.${ident(column)}::oid
       ) AS used`,
    );
    if (rows[0]!.used)
      problems.push(
        `column "${column}" of table "${table}" on ${from.name} refers to large objects, which cannot be moved: keep them in a bytea column`,
      );
  }
  return problems;
};

/** Objects of the schema that stand in another schema's hierarchy, or the other way round. */
export const crossSchemaLinks: Check = async ({ source, request, from }) => {
  const { rows } = await source.query<{ problem: string }>(
    `WITH ns AS (SELECT oid FROM pg_namespace WHERE nspname = $1)
     SELECT format('foreign key %I of %s refers to %s in another schema', k.conname, k.conrelid::regclass, k.confrelid::regclass) AS problem
     FROM pg_constraint k
     JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid, ns
     WHERE k.contype = 'f' AND a.relnamespace <> b.relnamespace AND ns.oid IN (a.relnamespace, b.relnamespace)
     UNION ALL
     SELECT format('%s is a partition or child of %s in another schema', h.inhrelid::regclass, h.inhparent::regclass)
     FROM pg_inherits h
     JOIN pg_class a ON a.oid = h.inhrelid JOIN pg_class b ON b.oid = h.inhparent, ns
     WHERE a.relnamespace <> b.relnamespace AND ns.oid IN (a.relnamespace, b.relnamespace)
     UNION ALL
     SELECT format('the default of column %I of %s uses the sequence %s of this schema', a.attname, c.oid::regclass, d.refobjid::regclass)
     FROM ns
     JOIN pg_class s ON s.relnamespace = ns.oid AND s.relkind = 'S'
     JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND d.classid = 'pg_attrdef'::regclass
     JOIN pg_attrdef f ON f.oid = d.objid
     JOIN pg_class c ON c.oid = f.adrelid AND c.relnamespace <> ns.oid
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.adnum
     UNION ALL
     SELECT format('extension %I lives in the schema', e.extname) FROM pg_extension e JOIN ns ON ns.oid = e.extnamespace`,
    [request.schema],
  );
  return rows.map(
    ({ problem }) =>
      `${problem} (on ${from.name}): a schema can only be moved whole and by itself; drop or move that first`,
  );
};
