import type { ClientBase } from "pg";

import type { Room } from "../../contract/rebalance.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { SERVER } from "../postgres/server.ts";

/** The value of a setting that limits the number of something. */
const setting = (name: string): string =>
  `(SELECT setting::int FROM pg_settings WHERE pg_settings.name = '${name}')`;

/** The most sessions that a move has on each of its islands: four lanes that copy or build indexes, and a pooled one. */
const SESSIONS_OF_A_MOVE = 5;

/**
 * The free slots, walsenders, workers, origins and connections of a server, and what distinguishes it from other servers.
 * Parallel workers come and go, so they do not count. Since PostgreSQL 18, origins have a setting of their own.
 */
const ROOM_SQL = `
  WITH connection AS (
    SELECT (${setting("max_connections")} - ${setting("superuser_reserved_connections")}
      - coalesce(${setting("reserved_connections")}, 0)
      - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')) / ${SESSIONS_OF_A_MOVE} AS moves
  )
  SELECT ${SERVER} AS server,
    least(
      ${setting("max_replication_slots")} - (SELECT count(*) FROM pg_replication_slots),
      ${setting("max_wal_senders")} - (SELECT count(*) FROM pg_stat_replication),
      connection.moves
    )::int AS leaving,
    least(
      ${setting("max_logical_replication_workers")} - (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type LIKE 'logical replication %worker'),
      ${setting("max_worker_processes")} - (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type LIKE 'logical replication %'),
      coalesce(${setting("max_active_replication_origins")}, ${setting("max_replication_slots")})
        - (SELECT count(*) FROM pg_replication_origin),
      connection.moves
    )::int AS arriving,
    1 + ${setting("max_sync_workers_per_subscription")} AS tablesync
  FROM connection`;

interface RoomRow {
  server: string;
  leaving: number;
  arriving: number;
  /** Slots and workers that a move takes if PostgreSQL copies the rows. */
  tablesync: number;
}

/**
 * Reads how many concurrent moves each server has room for; islands on one server share that room. With `tablesync`,
 * it assumes that every move takes a slot and a worker for each table that is being copied.
 */
export async function readRooms(islands: readonly ConnectedIsland[], tablesync: boolean): Promise<Room[]> {
  const rows = await Promise.all(islands.map(({ client }) => readRoom(client)));
  const rooms = new Map<string, Room>();
  rows.forEach(({ server, leaving, arriving, tablesync: each }, i) => {
    const { name } = islands[i]!;
    const known = rooms.get(server);
    // One is left free: a move that ends still counts for a moment, and somebody may move a shard by hand meanwhile.
    const share = (free: number): number => Math.max(0, Math.floor((free - 1) / (tablesync ? each : 1)));
    rooms.set(server, {
      islands: [...(known?.islands ?? []), name],
      leaving: share(leaving),
      arriving: share(arriving),
    });
  });
  return [...rooms.values()];
}

async function readRoom(client: ClientBase): Promise<RoomRow> {
  return (await client.query<RoomRow>(ROOM_SQL)).rows[0]!;
}
