import type { ClientBase } from "pg";

import { count } from "../format.ts";
import type { Check, CheckContext } from "./check.ts";

/** Locks that a transaction holds at once beside those of a schema: catalogs, book, list of active shards. */
const OTHERS = 50;

/** How many locks the lock table of a server has room for. There is some more room, which nobody may rely on. */
async function capacityOf(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ locks: number }>(
    `SELECT (sum(setting::int) FILTER (WHERE name <> 'max_locks_per_transaction')
       * sum(setting::int) FILTER (WHERE name = 'max_locks_per_transaction'))::float8 AS locks
     FROM pg_settings
     WHERE name IN ('max_locks_per_transaction', 'max_connections', 'max_prepared_transactions',
       'max_worker_processes', 'max_wal_senders', 'autovacuum_max_workers')`,
  );
  return rows[0]!.locks;
}

/** pg_dump and the switch lock all tables of the schema in one transaction; the switch also locks its sequences. */
export const roomToLock: Check = async ({ source, request, from }) => {
  const { rows } = await source.query<{ locks: number }>(
    `SELECT count(*)::int AS locks FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'p', 'S')`,
    [request.schema],
  );
  const needed = rows[0]!.locks + OTHERS;
  const room = await capacityOf(source);
  if (needed <= room) return [];
  return [
    `${from.name} has room for ${count(room)} locks, and the move holds one on each table and sequence of schema ` +
      `"${request.schema}" at once (${count(needed)}): raise max_locks_per_transaction there, and restart it`,
  ];
};

/** True if the whole structure can be created in one transaction with half of the destination's lock table to spare. */
export async function roomToTry({ source, destination, request }: CheckContext): Promise<boolean> {
  const { rows } = await source.query<{ locks: number }>(
    // With its TOAST table and the index of that.
    `SELECT sum(CASE WHEN reltoastrelid = 0 THEN 1 ELSE 3 END)::int AS locks FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)`,
    [request.schema],
  );
  return (rows[0]!.locks ?? 0) + OTHERS <= (await capacityOf(destination)) / 2;
}
