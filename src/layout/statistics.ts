import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import { activeShardsSql } from "../postgres/api/shards.ts";
import type { SqlApi } from "../postgres/api/sql-api.ts";

/**
 * What happened in a shard's tables since their statistics were last reset. On an island to which the shard was moved, the rows that
 * the move has copied are inserts, too.
 */
export interface ShardStatistics {
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly indexScans: number;
  readonly sequentialScans: number;
}

export const NO_STATISTICS: ShardStatistics = {
  inserts: 0,
  updates: 0,
  deletes: 0,
  indexScans: 0,
  sequentialScans: 0,
};

/** Reads what the server has counted for each active shard. */
export async function readStatistics(client: ClientBase, api: SqlApi): Promise<Map<string, ShardStatistics>> {
  const { rows } = await client.query<Record<keyof ShardStatistics | "schema", string>>(`
    SELECT shard.nspname AS schema,
      sum(pg_stat_get_tuples_inserted(c.oid)) AS inserts,
      sum(pg_stat_get_tuples_updated(c.oid)) AS updates,
      sum(pg_stat_get_tuples_deleted(c.oid)) AS deletes,
      sum(pg_stat_get_numscans(c.oid)) AS "sequentialScans",
      sum((SELECT sum(pg_stat_get_numscans(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid)) AS "indexScans"
    FROM (${activeShardsSql(api)}) shard
    JOIN pg_class c ON c.relnamespace = shard.oid AND c.relkind IN ('r', 'm')
    GROUP BY shard.nspname`);
  return new Map(
    rows.map(({ schema, ...counts }) => [
      schema,
      {
        inserts: Number(counts.inserts),
        updates: Number(counts.updates),
        deletes: Number(counts.deletes),
        indexScans: Number(counts.indexScans),
        sequentialScans: Number(counts.sequentialScans),
      },
    ]),
  );
}

/** Measures what happens per second in each active shard that has tables, by two readings. */
export async function measureRates(
  client: ClientBase,
  api: SqlApi,
  milliseconds: number,
): Promise<Map<string, ShardStatistics>> {
  const began = performance.now();
  const before = await readStatistics(client, api);
  await sleep(milliseconds);
  const after = await readStatistics(client, api);
  const seconds = (performance.now() - began) / 1000;
  return new Map(
    [...after].flatMap(([schema, now]) => {
      const then = before.get(schema);
      return then ? [[schema, perSecond(then, now, seconds)] as const] : [];
    }),
  );
}

function perSecond(then: ShardStatistics, now: ShardStatistics, seconds: number): ShardStatistics {
  // Less than before: a table was dropped, or its statistics were reset.
  const rate = (of: keyof ShardStatistics): number =>
    Number((Math.max(0, now[of] - then[of]) / seconds).toFixed(1));
  return {
    inserts: rate("inserts"),
    updates: rate("updates"),
    deletes: rate("deletes"),
    indexScans: rate("indexScans"),
    sequentialScans: rate("sequentialScans"),
  };
}
