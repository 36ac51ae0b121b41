import type { ClientBase } from "pg";

import type { DatabaseIdentity } from "../../contract/move.ts";

/** The major versions of PostgreSQL that Shardferry works with, the oldest first. */
export const MAJORS = [14, 15, 16, 17, 18, 19] as const;
export type Major = (typeof MAJORS)[number];

/** The identifier that initdb gives, as SQL; a physical replica and a server cloned from a template share it. */
export const SYSTEM_IDENTIFIER = "(SELECT system_identifier FROM pg_control_system())";

/** The current database among those of its server, as SQL. */
export const DATABASE_OID = "(SELECT oid FROM pg_database WHERE datname = current_database())";

/**
 * Distinguishes this server from all others, as SQL. The system identifier alone is not enough, for example for a
 * promoted replica, so the start of the postmaster, in microseconds, is included.
 */
export const SERVER = `concat_ws('/', ${SYSTEM_IDENTIFIER}, extract(epoch FROM pg_postmaster_start_time()))`;

/** Distinguishes this database from all others, whatever host name is used to reach it, as SQL. */
export const DATABASE = `concat_ws('/', ${SERVER}, ${DATABASE_OID})`;

/** The timeline that a primary writes, as SQL: pg_control would show a promotion only after its checkpoint. */
export const TIMELINE = "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)";

/** The version of this server as a number, as SQL: 150004 for 15.4. */
export const VERSION_NUMBER = "current_setting('server_version_num')::int";

/** Returns the major version of a server from its version number. */
export const majorVersion = (versionNumber: number): number => Math.floor(versionNumber / 10_000);

/** True if a session is still on this database, and not on one that was restored or recreated at the same address. */
export async function isOnDatabase(client: ClientBase, database: DatabaseIdentity): Promise<boolean> {
  const { rowCount } = await client.query(`SELECT WHERE ${SYSTEM_IDENTIFIER} = $1 AND ${DATABASE_OID} = $2`, [
    database.systemIdentifier,
    database.databaseOid,
  ]);
  return rowCount === 1;
}
