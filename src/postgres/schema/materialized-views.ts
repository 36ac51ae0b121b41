import type { ClientBase } from "pg";

import { inheritedValue } from "../inherited-setting.ts";
import { ident } from "../quote.ts";

/** A materialized view of a shard, as the source has it. */
export interface MaterializedView {
  name: string;
  populated: boolean;
  /** Changes with every REFRESH, also with one that is CONCURRENTLY and keeps the file. */
  version: string;
  /** True if it reads from a table that is copied under the lock, directly or not: it can only be filled after that. */
  late: boolean;
}

/**
 * Reads the materialized views of a schema, each after those from which it reads.
 *
 * @param lockedCopies the tables that are copied under the lock. What a function reads is not in the catalogs, so if there
 *   are any, a view that calls one that is not IMMUTABLE counts as one that reads from them.
 */
export async function readMaterializedViews(
  client: ClientBase,
  schema: string,
  lockedCopies: readonly string[],
): Promise<MaterializedView[]> {
  const { rows } = await client.query<MaterializedView>(
    `WITH RECURSIVE
     relation AS (
       SELECT c.oid, c.xmin, c.relname, c.relkind, c.relispopulated
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm')
     ),
     uses AS (
       SELECT w.ev_class AS reader, d.refclassid, d.refobjid
       FROM pg_rewrite w
       JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
       WHERE w.ev_class IN (SELECT oid FROM relation WHERE relkind IN ('v', 'm'))
     ),
     reads(reader, read) AS (
       SELECT reader, refobjid FROM uses
       WHERE refclassid = 'pg_class'::regclass AND refobjid <> reader AND refobjid IN (SELECT oid FROM relation)
       UNION
       SELECT inhparent, inhrelid FROM pg_inherits WHERE inhrelid IN (SELECT oid FROM relation)
     ),
     depth(oid, level) AS (
       SELECT oid, 0 FROM relation WHERE relkind IN ('v', 'm')
       UNION
       SELECT reads.reader, depth.level + 1 FROM depth JOIN reads ON reads.read = depth.oid
     ),
     late(oid) AS (
       SELECT oid FROM relation WHERE relkind = 'r' AND relname = ANY ($2)
       UNION
       SELECT reader FROM uses
       WHERE refclassid = 'pg_proc'::regclass AND refobjid >= 16384 AND cardinality($2::text[]) > 0
         AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.oid = refobjid AND p.provolatile = 'i')
         AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = refclassid AND e.objid = refobjid AND e.deptype = 'e')
       UNION
       SELECT reads.reader FROM late JOIN reads ON reads.read = late.oid
     )
     SELECT r.relname AS name, r.relispopulated AS populated,
       r.xmin::text AS version, r.oid IN (SELECT oid FROM late) AS late
     FROM relation r
     WHERE r.relkind = 'm'
     ORDER BY (SELECT max(level) FROM depth WHERE depth.oid = r.oid), r.relname`,
    [schema, lockedCopies],
  );
  return rows;
}

/** Reads the present versions of the materialized views of a schema; fast enough for the locked part of the switch. */
export async function readViewVersions(
  client: ClientBase,
  schema: string,
): Promise<Map<string, Pick<MaterializedView, "populated" | "version">>> {
  const { rows } = await client.query<Pick<MaterializedView, "name" | "populated" | "version">>(
    `SELECT relname AS name, relispopulated AS populated, xmin::text AS version FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind = 'm'`,
    [schema],
  );
  return new Map(rows.map(({ name, ...state }) => [name, state]));
}

/**
 * The search_path with which our sessions fill materialized views, as a literal list: the shard, and what a session on the
 * source begins with. Functions of the application may rely on it; from PostgreSQL 17 on, REFRESH has one of its own.
 */
export async function searchPathFor(source: ClientBase, schema: string): Promise<string> {
  return [ident(schema), await inheritedValue(source, "search_path")].filter(Boolean).join(", ");
}
