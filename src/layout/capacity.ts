import type { ClientBase } from "pg";

import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { SERVER } from "../postgres/server.ts";
import type { LimitedRoom } from "../rebalance/forecast.ts";

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
  ), free AS (
    SELECT ${setting("max_replication_slots")} - (SELECT count(*) FROM pg_replication_slots) AS slots,
      ${setting("max_wal_senders")} - (SELECT count(*) FROM pg_stat_replication) AS senders,
      ${setting("max_logical_replication_workers")} - (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type LIKE 'logical replication %worker') AS workers,
      ${setting("max_worker_processes")} - (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type LIKE 'logical replication %') AS processes,
      coalesce(${setting("max_active_replication_origins")}, ${setting("max_replication_slots")})
        - (SELECT count(*) FROM pg_replication_origin) AS origins
  )
  SELECT ${SERVER} AS server, 1 + ${setting("max_sync_workers_per_subscription")} AS tablesync,
    json_build_object('max_replication_slots', slots, 'max_wal_senders', senders, 'max_connections', moves) AS leaving,
    json_build_object('max_logical_replication_workers', workers, 'max_worker_processes', processes,
      CASE WHEN ${setting("max_active_replication_origins")} IS NULL THEN 'max_replication_slots'
        ELSE 'max_active_replication_origins' END, origins, 'max_connections', moves) AS arriving
  FROM connection, free`;

/** How many moves the settings of a server allow, each by itself. */
type Free = Readonly<Record<string, number>>;

interface RoomRow {
  server: string;
  leaving: Free;
  arriving: Free;
  /** Slots and workers that a move takes if PostgreSQL copies the rows. */
  tablesync: number;
}

/**
 * Reads how many concurrent moves each server has room for; islands on one server share that room. With `tablesync`,
 * it assumes that every move takes a slot and a worker for each table that is being copied.
 */
export async function readRooms(
  islands: readonly ConnectedIsland[],
  tablesync: boolean,
): Promise<LimitedRoom[]> {
  const rows = await Promise.all(islands.map(({ client }) => readRoom(client)));
  const rooms = new Map<string, LimitedRoom>();
  rows.forEach(({ server, leaving, arriving, tablesync: each }, i) => {
    const { name } = islands[i]!;
    const known = rooms.get(server);
    // One is left free: a move that ends still counts for a moment, and somebody may move a shard by hand meanwhile.
    const share = (free: number): number => Math.max(0, Math.floor((free - 1) / (tablesync ? each : 1)));
    const [[leavingLimit, out], [arrivingLimit, into]] = [scarcest(leaving), scarcest(arriving)];
    rooms.set(server, {
      islands: [...(known?.islands ?? []), name],
      leaving: share(out),
      arriving: share(into),
      leavingLimit,
      arrivingLimit,
    });
  });
  return [...rooms.values()];
}

const scarcest = (free: Free): [setting: string, moves: number] =>
  Object.entries(free).reduce((least, one) => (one[1] < least[1] ? one : least));

async function readRoom(client: ClientBase): Promise<RoomRow> {
  return (await client.query<RoomRow>(ROOM_SQL)).rows[0]!;
}
