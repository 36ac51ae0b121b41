import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { activeShardsSql, factorSql } from "../postgres/api/shards.ts";
import type { SqlApi } from "../postgres/api/sql-api.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { SIZE_SQL, sizedRelationsSql } from "../postgres/schema/size.ts";
import { type IslandWithApi, withApi } from "./islands-with-api.ts";
import { measureRates, NO_STATISTICS, readStatistics, type ShardStatistics } from "./statistics.ts";
import type { OldCopy, OpenWayBack } from "./ways-back.ts";
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
  /** The same per second, as measured now. Null if the shard came to the island meanwhile. */
  readonly rates?: ShardStatistics | null;
  /** Null if none is open. */
  readonly wayBack?: OpenWayBack | null;
}

export interface IslandLayout {
  readonly island: IslandName;
  /** False if the SQL API is missing; then no shards are known there. */
  readonly installed: boolean;
  readonly serverVersion: number;
  readonly shards: readonly ShardInfo[];
  /** Old copies to which shards can come back. */
  readonly oldCopies?: readonly OldCopy[];
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
  /** Measures rates for so long, in milliseconds. */
  readonly rateMs?: number | undefined;
}

interface ShardRow {
  schema: string;
  factor: string;
  tables: string;
  bytes: string;
}

const DEFAULT_WEIGHT_NAME = "Size";

/** Reads the layout of all islands at once. */
export const readLayout = async (
  islands: readonly ConnectedIsland[],
  options: LayoutOptions = {},
): Promise<Layout> => readLayoutOf(await withApi(islands), options);

/** The same, where the SQL API has been found. */
export async function readLayoutOf(
  islands: readonly IslandWithApi[],
  options: LayoutOptions = {},
): Promise<Layout> {
  const names = new Set<string>();
  const read = await Promise.all(
    islands.map(async ({ name, client, serverVersion, api }) => {
      const shards = api ? await readShards(client, api, options, names) : [];
      return { island: name, installed: api !== null, serverVersion, shards };
    }),
  );
  return { weightName: [...names][0] ?? DEFAULT_WEIGHT_NAME, islands: read };
}

async function readShards(
  client: ClientBase,
  api: SqlApi,
  { weightSql, statistics, rateMs }: LayoutOptions,
  weightNames: Set<string>,
): Promise<ShardInfo[]> {
  const { rows } = await client.query<ShardRow>(`
    SELECT shard.nspname AS schema, ${factorSql(api)} AS factor, count(c.oid) AS tables,
      ${SIZE_SQL} AS bytes
    FROM (${activeShardsSql(api)}) shard
    ${sizedRelationsSql("shard.oid")}
    GROUP BY shard.oid, shard.nspname
    ORDER BY shard.nspname`);
  const rates = rateMs === undefined ? null : await measureRates(client, api, rateMs);
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
    const withCounts = counters ? { ...shard, statistics: counters.get(row.schema) ?? NO_STATISTICS } : shard;
    return [rates ? { ...withCounts, rates: rates.get(row.schema) ?? null } : withCounts];
  });
  return shards.sort((a, b) => a.no - b.no);
}
