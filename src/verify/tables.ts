import type { ClientBase } from "pg";

import { ident, qualified } from "../postgres/quote.ts";
import { type ColumnType, exactForm } from "./exact-form.ts";

/** A column of a key. */
export interface KeyColumn {
  name: string;
  /** The name of its type, with its schema if it is not built in. */
  type: string;
  /** Its collation, quoted, if it has one of its own. */
  collation: string | null;
}

/** A table on one side, with what is needed to compare it with its counterpart. */
export interface ComparedTable {
  name: string;
  /** Quoted, with ONLY: the rows of children are theirs. */
  relation: string;
  /** Quoted name → the exact form, and the value as text. */
  columns: { name: string; exact: string; text: string }[];
  /** The columns of a unique index by whose order the table can be walked; null if it has none. */
  key: KeyColumn[] | null;
  /** Heap and TOAST. */
  bytes: number;
  /** Of the heap. */
  blocks: number;
  /** The planner's estimate; 0 if unknown. */
  estimatedRows: number;
}

interface Row {
  table: string;
  bytes: string;
  blocks: string;
  estimatedRows: string;
  key: KeyColumn[] | null;
  columns: (ColumnType & { name: string })[];
}

/**
 * Tables with rows of their own, and their columns. Virtual generated columns are left out: they have no value. Of the
 * unique indexes, one is taken whose order is that of row comparison: on plain columns, all ascending, none of them null,
 * the primary key first. A deferrable one is not unique at every moment.
 */
const TABLES_SQL = `
  WITH RECURSIVE
  relation AS (
    SELECT c.oid, c.relname, c.reltuples, c.relpages
    FROM pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind = 'r'
  ),
  -- Looked up by index for each table: materialized, it was scanned for each of them.
  attribute AS NOT MATERIALIZED (
    SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.attnotnull, a.attcollation
    FROM pg_attribute a
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
  ),
  base(root, typ) AS (
    SELECT DISTINCT a.atttypid, a.atttypid FROM relation r JOIN attribute a ON a.attrelid = r.oid
    UNION ALL
    SELECT base.root, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.typ WHERE t.typtype = 'd'
  ),
  type_fact AS (
    SELECT base.root AS typ,
      jsonb_build_object(
        'builtIn', CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname END,
        'kind', CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN 'array'
                     WHEN t.typtype = 'r' THEN 'range' WHEN t.typtype = 'm' THEN 'multirange'
                     WHEN t.typtype = 'b' THEN 'base' ELSE 'other' END,
        'builtInElements', coalesce(
          e.typnamespace = 'pg_catalog'::regnamespace AND e.typtype = 'b' AND e.typsend <> 0 AND e.typname NOT LIKE 'reg%' AND e.typname NOT LIKE 'float%'
            AND e.typcategory <> 'A', false),
        'domain', base.root <> base.typ,
        'output', t.typoutput::regproc::text) AS fact
    FROM base
    JOIN pg_type t ON t.oid = base.typ AND t.typtype <> 'd'
    LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid)
    LEFT JOIN pg_type e ON e.oid = coalesce(r.rngsubtype, CASE WHEN t.typcategory = 'A' THEN nullif(t.typelem, 0) END)
  )
  SELECT r.relname AS table, pg_table_size(r.oid) AS bytes, pg_relation_size(r.oid) / current_setting('block_size')::int AS blocks,
    greatest(r.reltuples, 0)::bigint AS "estimatedRows", k.columns AS key,
    (SELECT coalesce(jsonb_agg(f.fact || jsonb_build_object('name', a.attname) ORDER BY a.attnum), '[]')
     FROM attribute a JOIN type_fact f ON f.typ = a.atttypid WHERE a.attrelid = r.oid) AS columns
  FROM relation r
  LEFT JOIN LATERAL (
    SELECT k.columns
    FROM pg_index i
    CROSS JOIN LATERAL (
      SELECT bool_and(a.attnotnull AND i.indoption[n - 1] = 0 AND o.opcdefault AND o.opcmethod = 403) AS usable,
        jsonb_agg(jsonb_build_object(
          'name', a.attname,
          'type', format_type(a.atttypid, -1),
          'collation', (
            SELECT format('%I.%I', s.nspname, c.collname)
            FROM pg_collation c JOIN pg_namespace s ON s.oid = c.collnamespace
            WHERE c.oid = a.attcollation AND c.collname <> 'default')) ORDER BY n) AS columns
      FROM generate_series(1, i.indnkeyatts) n
      LEFT JOIN attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]
        AND a.attcollation = i.indcollation[n - 1]
      LEFT JOIN pg_opclass o ON o.oid = i.indclass[n - 1]
      HAVING count(a.attnum) = i.indnkeyatts
    ) k
    WHERE i.indrelid = r.oid
      AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND k.usable
    ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
    LIMIT 1
  ) k ON true
  ORDER BY r.relname`;

/**
 * Sets the search_path so that the operators of the keys' types are found by their names: an extension's type, such as citext, has its own ones, and
 * without them the comparison of a key would fall back to those of text, which order differently and use no index.
 */
export async function findOperators(client: ClientBase, schema: string): Promise<void> {
  await client.query(
    `SELECT set_config('search_path', coalesce(string_agg(DISTINCT quote_ident(n.nspname), ', '), ''), false)
     FROM pg_class c
     JOIN pg_index i ON i.indrelid = c.oid
     CROSS JOIN LATERAL unnest(i.indclass) AS class(oid)
     JOIN pg_opclass o ON o.oid = class.oid
     JOIN pg_namespace n ON n.oid = o.opcnamespace
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND i.indisunique
       AND n.nspname <> 'pg_catalog'`,
    [schema],
  );
}

/**
 * Reads the tables of a schema, in the order of their names.
 *
 * @param utf8 true if the databases of the two sides have different encodings.
 */
export async function readComparedTables(
  client: ClientBase,
  schema: string,
  utf8 = false,
): Promise<ComparedTable[]> {
  const { rows } = await client.query<Row>(TABLES_SQL, [schema]);
  return rows.map((row) => ({
    name: row.table,
    relation: `ONLY ${qualified(schema, row.table)}`,
    columns: row.columns.map((column) => {
      const name = `t.${ident(column.name)}`;
      const text = `textin(${column.output}(${name}))`;
      return { name: column.name, exact: exactForm(name, column, utf8), text };
    }),
    key: row.key,
    bytes: Number(row.bytes),
    blocks: Number(row.blocks),
    estimatedRows: Number(row.estimatedRows),
  }));
}
