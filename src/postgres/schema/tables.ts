import type { ClientBase } from "pg";

import { literal } from "../quote.ts";
import { VERSION_NUMBER } from "../server.ts";
import { isExactSql } from "./exact-types.ts";

/** What the move needs to know about one table of the shard. */
export interface Table {
  oid: string;
  name: string;
  /** `r`: ordinary, or a partition; `p`: partitioned, without rows of its own. */
  kind: "r" | "p";
  unlogged: boolean;
  /** pg_class.relreplident. */
  replicaIdentity: "d" | "n" | "f" | "i";
  /** True if UPDATE and DELETE can be replicated without changing the table. */
  hasIdentity: boolean;
  /**
   * True if REPLICA IDENTITY FULL works: rows that are equal are the same (see exact-types.ts), or else the wrong one of
   * two might be changed; and from 18 on no column is generated, since every UPDATE of such a published table would fail.
   */
  comparable: boolean;
  /** True if COPY and replication may use the binary format between servers. */
  binarySafe: boolean;
  /** Columns to copy: all except dropped and generated ones. */
  columns: string[];
  /** Heap and TOAST, in bytes, without indexes. */
  bytes: number;
  /** Including indexes. */
  totalBytes: number;
  /** The planner's estimate; 0 if the table was never analyzed. */
  estimatedRows: number;
}

/**
 * Reads all tables of a schema in one query, in the fixed order in which they are locked. Prepared, because for a small
 * schema planning takes longer than running.
 *
 * The binary format sends the OIDs of types that arrays and composite types contain, and the OIDs behind
 * reg* types; both differ between servers. Types of extensions are sent as text, since nothing guarantees that
 * two versions of an extension have the same send format.
 */
export async function readTables(client: ClientBase, schema: string): Promise<Table[]> {
  const { rows } = await client.query<
    Omit<Table, "bytes" | "totalBytes" | "estimatedRows"> & { bytes: string; totalBytes: string }
  >({ name: "shardferry_tables", text: TABLES_SQL, values: [schema] });
  return rows.map((row) => ({
    ...row,
    bytes: Number(row.bytes),
    totalBytes: Number(row.totalBytes),
    estimatedRows: Number((row as { estimatedRows?: unknown }).estimatedRows),
  }));
}

/**
 * The facts of each table are looked up by index: as tables of their own to be joined, they were compared each with each
 * where PostgreSQL took a large schema for a small one. 20,000 tables take 4 s.
 */
const TABLES_SQL = `
  WITH RECURSIVE
  relation AS (
    SELECT c.*
    FROM pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
      AND c.relkind IN ('r', 'p')
  ),
  attribute AS NOT MATERIALIZED (
    SELECT a.*, a.attgenerated <> '' AND ${VERSION_NUMBER} >= 180000 AS blocks_full
    FROM pg_attribute a
    WHERE a.attnum > 0 AND NOT a.attisdropped
  ),
  -- Every type that a column's type is built of; "inside" = its OID travels in the binary format.
  part(root, root_mod, root_coll, typ, mod, coll, inside) AS (
    SELECT DISTINCT atttypid, atttypmod, attcollation, atttypid, atttypmod, attcollation, false
    FROM relation r JOIN attribute a ON a.attrelid = r.oid
    UNION
    SELECT part.root, part.root_mod, part.root_coll, x.typ, x.mod, x.coll, x.inside
    FROM part
    JOIN pg_type t ON t.oid = part.typ
    CROSS JOIN LATERAL (
      SELECT t.typbasetype AS typ, t.typtypmod AS mod, part.coll AS coll, part.inside AS inside WHERE t.typtype = 'd'
      UNION ALL
      SELECT t.typelem, part.mod, part.coll, true WHERE t.typelem <> 0 AND t.typcategory = 'A'
      UNION ALL
      SELECT a.atttypid, a.atttypmod, a.attcollation, true
      FROM pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
      SELECT r.rngsubtype, -1, r.rngcollation, false FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
    ) x
  ),
  type_fact AS (
    SELECT
      part.root, part.root_mod, part.root_coll,
      bool_and(
        t.typsend <> 0
        AND t.typname !~ '^_?reg(class|collation|config|dictionary|namespace|oper|operator|proc|procedure|role|type)$'
        AND NOT (part.inside AND t.oid >= 16384)
        AND NOT (t.oid >= 16384 AND t.typtype = 'b' AND t.typcategory <> 'A')
      ) AS binary_safe,
      bool_and(${isExactSql("t", "part.mod", "part.coll")}) AS comparable
    FROM part JOIN pg_type t ON t.oid = part.typ
    GROUP BY 1, 2, 3
  )
  SELECT
    r.oid::text AS oid,
    r.relname AS name,
    r.relkind AS kind,
    r.relpersistence = 'u' AS unlogged,
    r.relreplident AS "replicaIdentity",
    CASE r.relreplident
      WHEN 'f' THEN coalesce(k.has_primary_key AND NOT f.blocks_full, false) OR coalesce(f.comparable, true)
      WHEN 'd' THEN coalesce(k.has_primary_key, false)
      WHEN 'i' THEN coalesce(k.has_identity_index, false)
      ELSE false
    END AS "hasIdentity",
    coalesce(f.comparable, true) AND k.has_unsent_identity IS NOT TRUE AS comparable,
    coalesce(f.binary_safe, true) AS "binarySafe",
    coalesce(f.columns, '{}') AS columns,
    pg_table_size(r.oid) AS bytes,
    pg_total_relation_size(r.oid) AS "totalBytes",
    -- As the planner does it: the density at the last ANALYZE, times the size of now.
    CASE WHEN r.reltuples > 0 AND r.relpages > 0
      THEN r.reltuples / r.relpages * pg_relation_size(r.oid) / current_setting('block_size')::int
      ELSE 0
    END::bigint AS "estimatedRows"
  FROM relation r
  CROSS JOIN LATERAL (
    SELECT
      array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '') AS columns,
      bool_and(f.binary_safe) AS binary_safe,
      bool_and(f.comparable AND NOT a.blocks_full) AS comparable,
      bool_or(a.blocks_full) AS blocks_full
    FROM attribute a
    JOIN type_fact f ON f.root = a.atttypid AND f.root_mod = a.atttypmod AND f.root_coll = a.attcollation
    WHERE a.attrelid = r.oid
  ) f
  -- A key may be of any type: it is unique by the same equality by which its row is looked up, so only one can match.
  CROSS JOIN LATERAL (
    SELECT
      bool_or(i.indisprimary AND i.indimmediate AND NOT g.generated) AS has_primary_key,
      bool_or(i.indisreplident AND NOT g.generated) AS has_identity_index,
      bool_or(i.indisreplident AND g.generated) AS has_unsent_identity
    FROM pg_index i
    -- A generated column is not sent, so no row could be found by it.
    CROSS JOIN LATERAL (
      SELECT coalesce(bool_or(a.attgenerated <> ''), false) AS generated
      FROM attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    ) g
    WHERE i.indrelid = r.oid AND i.indisvalid
  ) k
  ORDER BY r.relname`;

/** A query for the comment of a schema; no row if the schema does not exist. */
export const schemaCommentSql = (schema: string): string =>
  `SELECT obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname = ${literal(schema)}`;

/** The comment on a schema and whether the schema exists. */
export async function readSchema(
  client: ClientBase,
  schema: string,
): Promise<{ exists: boolean; comment: string | null }> {
  const { rows } = await client.query<{ comment: string | null }>(schemaCommentSql(schema));
  return { exists: rows.length > 0, comment: rows[0]?.comment ?? null };
}
