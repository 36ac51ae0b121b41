import type { World } from "../support/world.ts";

/** True when such a backend is at work on the destination's database. */
export const busy =
  (where: string, view = "pg_stat_activity a") =>
  async ({ b }: World): Promise<boolean> =>
    (await b.rows(`SELECT FROM ${view} WHERE a.datname = current_database() AND ${where}`)).length > 0;

/** Rows are on their way to the destination. */
export const copying = busy("tuples_processed > 1000", "pg_stat_progress_copy a");

/** An index is being built on the destination. */
export const indexing = busy("tuples_done + blocks_done > 0", "pg_stat_progress_create_index a");
