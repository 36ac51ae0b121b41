import type { Settings } from "../config/settings.ts";
import { withApi } from "../layout/islands-with-api.ts";
import { type Layout, readLayoutOf } from "../layout/read.ts";
import { readWaysBack } from "../layout/ways-back.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

/**
 * Returns the active shards of each island with their weights and open ways back; `statistics` adds their reads and writes
 * so far, and `rateMs` those per second, measured for so long.
 */
export async function list(
  settings: Settings,
  { statistics, rateMs }: { statistics?: boolean; rateMs?: number | undefined } = {},
): Promise<Layout> {
  const { weightSql } = settings;
  return readIslands(dsnsOf(settings), async (islands) => {
    const found = await withApi(islands);
    const layout = await readLayoutOf(found, { weightSql, statistics, rateMs });
    const schemas = layout.islands.map(({ shards }) => shards.map(({ schema }) => schema));
    const ways = await readWaysBack(found, schemas);
    const places = layout.islands.map((island, i) => {
      const { open, oldCopies } = ways[i]!;
      const shards = island.shards.map((shard) => ({ ...shard, wayBack: open.get(shard.schema) ?? null }));
      return { ...island, shards, oldCopies };
    });
    return { ...layout, islands: places };
  });
}
