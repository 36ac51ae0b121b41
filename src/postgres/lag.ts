import type { ClientBase } from "pg";

import type { IslandName, ReplicaLag } from "../../workflows/contract.ts";

/**
 * Lag of every physical replica of an island, in seconds. replay_lag is empty on an idle replica that
 * has replayed everything; a logical walsender (a subscription) is not a replica, nor is a base backup.
 */
export async function replicaLags(client: ClientBase, island: IslandName): Promise<ReplicaLag[]> {
  const { rows } = await client.query<{ replica: string; seconds: number }>(
    `SELECT
       concat_ws(' ', nullif(r.application_name, ''), coalesce(host(r.client_addr), 'local')) AS replica,
       CASE WHEN r.replay_lsn >= pg_current_wal_flush_lsn() THEN 0
            ELSE coalesce(extract(epoch FROM r.replay_lag), 0) END::float8 AS seconds
     FROM pg_stat_replication r
     LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
     WHERE r.state <> 'backup' AND s.slot_type IS DISTINCT FROM 'logical'
     ORDER BY 1`,
  );
  return rows.map((row) => ({ island, ...row }));
}
