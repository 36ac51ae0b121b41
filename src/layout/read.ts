import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { activeShardsSql, factorSql } from "../postgres/api/shards.ts";
import { findSqlApi, type SqlApi } from "../postgres/api/sql-api.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { SIZE_SQL, sizedRelationsSql } from "../postgres/schema/size.ts";
import { customWeights, type Weight } from "./weights.ts";

/** One active shard. */
export interface ShardInfo {
  readonly no: number;
  readonly schema: string;
  /** Bytes of the tables, or the result of `--weight-sql`, times the factor. */
  readonly weight: number;
  readonly unit: string;
  readonly factor: number;
  readonly tables: number;
  readonly bytes: number;
  /** Further columns of `--weight-sql`. */
  readonly other: Readonly<Record<string, string>>;
  readonly statistics?: ShardStatistics;
}

/** What happened in a shard's tables since their statistics were last reset. */
export interface ShardStatistics {
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly indexScans: number;
  readonly sequentialScans: number;
}

export interface IslandLayout {
  readonly island: IslandName;
  /** False if the SQL API is missing; then no shards are known there. */
  readonly installed: boolean;
  readonly serverVersion: number;
  readonly shards: readonly ShardInfo[];
}

/** Which shards are where. */
export interface Layout {
  /** The name of the weight's column. */
  readonly weightName: string;
  readonly islands: readonly IslandLayout[];
}

export interface LayoutOptions {
  readonly weightSql?: string | undefined;
  readonly statistics?: boolean | undefined;
}

interface ShardRow {
  schema: string;
  factor: string;
  tables: string;
  bytes: string;
}

const DEFAULT_WEIGHT_NAME = "Size";

/** Reads the layout of all islands at once. */
export async function readLayout(
  islands: readonly ConnectedIsland[],
  options: LayoutOptions = {},
): Promise<Layout> {
  const names = new Set<string>();
  const read = await Promise.all(
    islands.map(async ({ name, client, serverVersion }) => {
      const api = await findSqlApi(client);
      const shards = api ? await readShards(client, api, options, names) : [];
      return { island: name, installed: api !== null, serverVersion, shards };
    }),
  );
  return { weightName: [...names][0] ?? DEFAULT_WEIGHT_NAME, islands: read };
}

async function readShards(
  client: ClientBase,
  api: SqlApi,
  { weightSql, statistics }: LayoutOptions,
  weightNames: Set<string>,
): Promise<ShardInfo[]> {
  const { rows } = await client.query<ShardRow>(`
    SELECT shard.nspname AS schema, ${factorSql(api)} AS factor, count(c.oid) AS tables,
      ${SIZE_SQL} AS bytes
    FROM (${activeShardsSql(api)}) shard
    ${sizedRelationsSql("shard.oid")}
    GROUP BY shard.oid, shard.nspname
    ORDER BY shard.nspname`);
  const counters = statistics ? await readStatistics(client, api) : null;
  const custom = weightSql
    ? await customWeights(
        client,
        rows.map(({ schema }) => schema),
        weightSql,
      )
    : null;
  if (custom?.name) weightNames.add(custom.name);
  const shards = rows.flatMap((row): ShardInfo[] => {
    const no = api.shardNumber(row.schema);
    if (no === null) return [];
    const bytes = Number(row.bytes);
    const factor = Number(row.factor);
    const weight: Weight = custom?.weights.get(row.schema) ?? { weight: bytes, unit: "B", other: {} };
    const shard: ShardInfo = {
      no,
      schema: row.schema,
      // Without the noise of binary fractions: 3 times 1.1 is 3.3.
      weight: Number((weight.weight * factor).toPrecision(15)),
      unit: weight.unit,
      factor,
      tables: Number(row.tables),
      bytes,
      other: weight.other,
    };
    return [counters ? { ...shard, statistics: counters.get(row.schema) ?? NO_STATISTICS } : shard];
  });
  return shards.sort((a, b) => a.no - b.no);
}

const NO_STATISTICS: ShardStatistics = {
  inserts: 0,
  updates: 0,
  deletes: 0,
  indexScans: 0,
  sequentialScans: 0,
};

async function readStatistics(client: ClientBase, api: SqlApi): Promise<Map<string, ShardStatistics>> {
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
