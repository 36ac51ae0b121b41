import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

/** Makes the commits of a session wait for the disk, even if the server's default does not. */
export async function ensureDurable(client: ClientBase): Promise<void> {
  await client.query(
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')",
  );
}

/**
 * Flushes the source's WAL and returns a position after every commit so far. The position alone
 * is not enough: it may not have been flushed, and with all writers locked out nothing else would flush it
 * (waits of 10-18 s were seen). The small commit of the message does; the flushed position by itself would
 * miss writers with synchronous_commit = off.
 */
export async function flushedPosition(source: ClientBase): Promise<string> {
  const { rows } = await source.query<{ lsn: string }>(
    "SELECT pg_logical_emit_message(true, 'shardferry', '')::text AS lsn",
  );
  return rows[0]!.lsn;
}

/**
 * Waits until the destination has applied everything up to a position of the source; false if that takes longer
 * than the deadline. Looks at the apply worker itself: latest_end_lsn advances with keepalives, which come after
 * everything before them was applied, and reaches the position in 0.3-3 ms; the slot's confirmed_flush_lsn
 * took 190-600 ms.
 *
 * @param alive called about every 250 ms, so that the session that holds the lock does not reach its idle timeout.
 */
export async function waitUntilApplied(
  destination: ClientBase,
  subscription: string,
  position: string,
  deadline: number,
  alive: () => Promise<unknown>,
): Promise<boolean> {
  let lastAlive = Date.now();
  for (;;) {
    const { rows } = await destination.query<{ applied: boolean }>({
      name: "shardferry_applied",
      text: `SELECT coalesce(bool_or(latest_end_lsn >= $2::pg_lsn), false) AS applied
             FROM pg_stat_subscription WHERE subname = $1 AND relid IS NULL AND pid IS NOT NULL`,
      values: [subscription, position],
    });
    if (rows[0]?.applied) return true;
    if (Date.now() >= deadline) return false;
    if (Date.now() - lastAlive > 250) {
      await alive();
      lastAlive = Date.now();
    }
    await sleep(1);
  }
}
