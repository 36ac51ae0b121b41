import type { ClientBase } from "pg";

import { allEnd } from "../all-end.ts";
import { count } from "../format.ts";
import type { Check, CheckContext } from "./check.ts";

/** Locks that a transaction holds at once beside those of a schema: catalogs, book, list of active shards. */
const OTHERS = 50;

/** The room in the lock table of a server: so many locks for each of so many transactions. */
interface Room {
  /** There is some more room, which nobody may rely on. */
  locks: number;
  transactions: number;
}

async function roomOf(client: ClientBase): Promise<Room> {
  const { rows } = await client.query<Room>(
    `SELECT transactions::float8, (transactions * current_setting('max_locks_per_transaction')::int)::float8 AS locks
     FROM (
       SELECT sum(setting::int) AS transactions FROM pg_settings
       WHERE name IN ('max_connections', 'max_prepared_transactions', 'max_worker_processes', 'max_wal_senders',
         'autovacuum_max_workers')
     ) server`,
  );
  return rows[0]!;
}

/**
 * On the source, pg_dump and the switch lock all tables of the schema in one transaction, and the switch its sequences, too. On
 * the destination, CREATE SUBSCRIPTION does so, and the values of the sequences are set in one.
 */
export const roomToLock: Check = async ({ source, destination, request, from, to }) => {
  const { rows } = await source.query<{ locks: number }>(
    `SELECT count(*)::int AS locks FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'p', 'S')`,
    [request.schema],
  );
  const needed = rows[0]!.locks + OTHERS;
  const rooms = await allEnd([roomOf(source), roomOf(destination)]);
  return rooms.flatMap(({ locks, transactions }, i) =>
    needed <= locks
      ? []
      : [
          `${[from, to][i]!.name} has room for ${count(locks)} locks, and the move holds one on each table and sequence of ` +
            `schema "${request.schema}" at once (${count(needed)}): raise max_locks_per_transaction there to ` +
            `${Math.ceil(needed / transactions)} or more, and restart it`,
        ],
  );
};

/**
 * True if the whole structure can be dumped, and be created in one transaction with half of the destination's lock table to
 * spare.
 */
export async function roomToTry(context: CheckContext): Promise<boolean> {
  const { source, destination, request } = context;
  if ((await roomToLock(context)).length > 0) return false;
  const { rows } = await source.query<{ locks: number }>(
    // With its TOAST table and the index of that.
    `SELECT sum(CASE WHEN reltoastrelid = 0 THEN 1 ELSE 3 END)::int AS locks FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)`,
    [request.schema],
  );
  return (rows[0]!.locks ?? 0) + OTHERS <= (await roomOf(destination)).locks / 2;
}
