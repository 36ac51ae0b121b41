import type { Settings } from "../config/settings.ts";
import { type Layout, readLayout } from "../layout/read.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

/**
 * Returns the active shards of each island with their weights; `statistics` adds their reads and writes so far, and
 * `rateMs` those per second, measured for so long.
 */
export async function list(
  settings: Settings,
  { statistics, rateMs }: { statistics?: boolean; rateMs?: number | undefined } = {},
): Promise<Layout> {
  const { weightSql } = settings;
  return readIslands(dsnsOf(settings), (islands) => readLayout(islands, { weightSql, statistics, rateMs }));
}
