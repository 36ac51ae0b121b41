import type { ClientBase } from "pg";

import { migrateWorkflowId } from "../../contract/names.ts";
import { findLeasingSchema, readLeases } from "../postgres/api/leases.ts";
import { LEDGER_TABLE } from "../postgres/api/ledger.ts";
import { activeShardsSql } from "../postgres/api/shards.ts";
import { findSqlApi } from "../postgres/api/sql-api.ts";
import { hasSqlstate, SQLSTATE } from "../postgres/errors/sqlstate.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { qualified } from "../postgres/quote.ts";

/** The migrations that the active shards of all islands have had, except the global shard, which is unlike the others. */
export interface ActiveLedger {
  shards: number;
  /** For each migration, the number of shards that have had it or part of it. */
  counts: ReadonlyMap<string, number>;
  /** Workflows of migrations that were running when reading began. */
  running: readonly string[];
}

/** Shards per query: each one's table is locked until the end of the query. */
const SHARDS_PER_QUERY = 500;

/** Reads which migrations the active shards of all islands have had. */
export async function readActiveLedger(islands: readonly ConnectedIsland[]): Promise<ActiveLedger> {
  // Running migrations first: if one ends in between, it is known from its lease, and what it wrote is seen as well.
  const running = await migrationsAtWork(islands);
  const counts = new Map<string, number>();
  const shards = await Promise.all(
    islands.map(async ({ client }) => {
      const api = await findSqlApi(client);
      if (!api) return 0;
      const { rows } = await client.query<{ schema: string }>(
        `SELECT nspname AS schema FROM (${activeShardsSql(api)}) shard`,
      );
      const schemas = rows.map(({ schema }) => schema).filter((schema) => api.shardNumber(schema) !== 0);
      for (const [name, count] of await countMigrations(client, schemas))
        counts.set(name, (counts.get(name) ?? 0) + count);
      return schemas.length;
    }),
  );
  return { shards: shards.reduce((sum, count) => sum + count, 0), counts, running };
}

/** The workflows that hold leases for a schema change on any of the islands, for any shard or for those given. */
export async function migrationsAtWork(
  islands: readonly ConnectedIsland[],
  schemas: readonly string[] | null = null,
): Promise<string[]> {
  const found = await Promise.all(
    islands.map(async ({ client }) => {
      const apiSchema = await findLeasingSchema(client);
      const leases = apiSchema === null ? [] : await readLeases(client, apiSchema, "schema change");
      return leases
        .filter(({ expired, schema }) => !expired && (schemas === null || schemas.includes(schema)))
        .map(({ workflowId }) => workflowId);
    }),
  );
  return [...new Set(found.flat())].sort();
}

/** For each migration, how many of the given shards of a database have had it, or part of it. */
export async function countMigrations(
  client: ClientBase,
  schemas: readonly string[],
): Promise<Map<string, number>> {
  for (;;) {
    try {
      return await countOnce(client, schemas);
    } catch (error) {
      // A shard has moved away between the two queries.
      if (!hasSqlstate(error, SQLSTATE.undefinedTable)) throw error;
    }
  }
}

async function countOnce(client: ClientBase, schemas: readonly string[]): Promise<Map<string, number>> {
  const { rows: having } = await client.query<{ schema: string }>(
    `SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = $1 AND c.relkind = 'r' AND n.nspname = ANY ($2)`,
    [LEDGER_TABLE, schemas],
  );
  const counts = new Map<string, number>();
  for (let start = 0; start < having.length; start += SHARDS_PER_QUERY) {
    const tables = having
      .slice(start, start + SHARDS_PER_QUERY)
      .map(({ schema }) => `SELECT name FROM ${qualified(schema, LEDGER_TABLE)}`);
    const { rows } = await client.query<{ name: string; count: number }>(
      `SELECT name, count(*)::int AS count FROM (${tables.join(" UNION ALL ")}) had GROUP BY name`,
    );
    for (const { name, count } of rows) counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return counts;
}

/** Migrations that some new shards lack. */
export interface Behind {
  /** Those that the active shards have received since the first look. */
  late: string[];
  /** Those that all active shards had before. */
  early: string[];
}

/**
 * Compares new shards with the active ones.
 * @param had how many of the new shards have had each migration
 * @param before the migrations of the active shards when the new ones were created
 */
export function compareLedgers(
  size: number,
  had: ReadonlyMap<string, number>,
  before: ActiveLedger,
  now: ActiveLedger,
): Behind {
  const missing = [...now.counts.keys()].filter((name) => (had.get(name) ?? 0) < size).sort();
  // A migration that had begun may have reached only some of the shards.
  const known = (name: string): boolean =>
    before.counts.has(name) && !before.running.includes(migrateWorkflowId(name));
  return {
    late: missing.filter((name) => !known(name)),
    early: missing.filter((name) => known(name) && now.counts.get(name) === now.shards),
  };
}
