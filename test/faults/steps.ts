import type { Client } from "pg";

/** True when such a backend is at work on the database of a session, that of the destination. */
export const busy =
  (where: string, view = "pg_stat_activity a") =>
  async (client: Client): Promise<boolean> => {
    const { rowCount } = await client.query(
      `SELECT FROM ${view} WHERE a.datname = current_database() AND ${where}`,
    );
    return rowCount !== 0;
  };

/** Rows are on their way to the destination. */
export const copying = busy("tuples_processed > 1000", "pg_stat_progress_copy a");

/** An index is being built on the destination. */
export const indexing = busy("tuples_done + blocks_done > 0", "pg_stat_progress_create_index a");
