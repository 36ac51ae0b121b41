import type { ClientBase } from "pg";

import { DATABASE_OID } from "../server.ts";

/** The subscription whose tablesync workers have slots of their own; its id is null while it is not known. */
export interface Subscriber {
  subscription: string | null;
  systemIdentifier: string;
}

/** Returns the id of a subscription, after which PostgreSQL names the slots of its tablesync workers. */
export async function subscriptionId(client: ClientBase, name: string): Promise<string | null> {
  const { rows } = await client.query<{ oid: string }>(
    `SELECT oid::text AS oid FROM pg_subscription WHERE subname = $1 AND subdbid = ${DATABASE_OID}`,
    [name],
  );
  return rows[0]?.oid ?? null;
}

/**
 * Returns how many bytes of WAL a server keeps for a slot, and for those of the tablesync workers of its subscription. All of
 * them keep the same WAL, so the oldest position counts.
 */
export async function keptWal(client: ClientBase, slot: string, subscriber: Subscriber): Promise<number> {
  const { subscription, systemIdentifier } = subscriber;
  const { rows } = await client.query<{ bytes: string }>(
    `SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0) AS bytes
     FROM pg_replication_slots
     WHERE slot_name = $1 OR slot_name ~ concat('^pg_', $2::text, '_sync_[0-9]+_', $3::text, '$')`,
    [slot, subscription ?? "none", systemIdentifier],
  );
  return Math.max(0, Number(rows[0]!.bytes));
}
