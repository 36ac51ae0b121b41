import type { Settings } from "../config/settings.ts";
import { type Layout, readLayout } from "../layout/read.ts";
import { onIslands } from "./with-islands.ts";

/** Returns the active shards of each island with their weights; `statistics` adds their reads and writes. */
export async function list(settings: Settings, options: { statistics?: boolean } = {}): Promise<Layout> {
  return onIslands(settings, (islands) =>
    readLayout(islands, { weightSql: settings.weightSql, statistics: options.statistics }),
  );
}
