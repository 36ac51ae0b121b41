import type { Settings } from "../config/settings.ts";
import { type Layout, readLayout } from "../layout/read.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

/** Returns the active shards of each island with their weights; `statistics` adds their reads and writes. */
export async function list(settings: Settings, options: { statistics?: boolean } = {}): Promise<Layout> {
  const { weightSql } = settings;
  return readIslands(dsnsOf(settings), (islands) =>
    readLayout(islands, { weightSql, statistics: options.statistics }),
  );
}
