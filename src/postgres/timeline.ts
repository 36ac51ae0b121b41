/** The timeline that a primary writes, as SQL: pg_control would tell of a promotion only after its checkpoint. */
export const TIMELINE = "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)";
