import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";

interface Row {
  names: string;
  waits: boolean;
  connected: number;
}

/** The number of standbys that a commit waits for: `FIRST 2 (a, b)`, `ANY 2 (a, b)`, `2 (a, b)`, or one. */
const wanted = (names: string): number =>
  Number(/^\s*(?:(?:first|any)\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1);

/**
 * Says what is missing if commits of sessions like this one wait for synchronous standbys that are not there, and how to
 * end that; null if none is missing. A standby whose state is hidden from the role counts as one that is there.
 */
export async function missingStandbys(client: ClientBase, island: IslandName): Promise<string | null> {
  const { rows } = await client.query<Row>(
    `SELECT current_setting('synchronous_standby_names') AS names,
       (SELECT reset_val NOT IN ('off', 'local') FROM pg_settings WHERE name = 'synchronous_commit') AS waits,
       (SELECT count(*)::int FROM pg_stat_replication
        WHERE sync_state IN ('sync', 'quorum') OR sync_state IS NULL) AS connected`,
  );
  const { names, waits, connected } = rows[0]!;
  const missing = wanted(names) - connected;
  if (names.trim() === "" || !waits || missing <= 0) return null;
  return (
    `commits on ${island} wait for ${missing === 1 ? "a synchronous standby that is" : `${missing} synchronous standbys that are`} not connected ` +
    `(synchronous_standby_names = '${names}'): start it, or take it off there: ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()`
  );
}

/** True if a commit of a session of ours waits for a synchronous standby at the moment. */
export async function someCommitWaits(client: ClientBase): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT FROM pg_stat_activity
     WHERE wait_event = 'SyncRep' AND datname = current_database() AND starts_with(application_name, 'shardferry') LIMIT 1`,
  );
  return rowCount !== 0;
}
