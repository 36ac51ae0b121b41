import type { ClientBase } from "pg";

/** The WAL position of an island, and the positions of its replicas. */
export interface Standing {
  position: bigint;
  replicas: { name: string; reached: bigint }[];
}

/** An LSN as a number of bytes. */
export function bytesOfLsn(lsn: string): bigint {
  const [high, low] = lsn.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/**
 * Reads the positions of an island and of its physical replicas. A logical walsender (a subscription) is
 * not a replica, nor is a base backup, nor pg_receivewal, which replays nothing.
 */
export async function readStanding(client: ClientBase): Promise<Standing> {
  const { rows } = await client.query<{ position: string; name: string | null; reached: string | null }>(
    `SELECT pg_current_wal_flush_lsn() AS position, r.name, r.replay_lsn AS reached
     FROM (VALUES (1)) AS one(row)
     LEFT JOIN (
       SELECT concat_ws(' ', nullif(r.application_name, ''), coalesce(host(r.client_addr), 'local')) AS name, r.replay_lsn
       FROM pg_stat_replication r
       LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
       WHERE r.state <> 'backup' AND s.slot_type IS DISTINCT FROM 'logical' AND r.replay_lsn IS NOT NULL
     ) r ON true
     ORDER BY r.name`,
  );
  const replicas = rows.flatMap(({ name, reached }) =>
    name === null || reached === null ? [] : [{ name, reached: bytesOfLsn(reached) }],
  );
  return { position: bytesOfLsn(rows[0]!.position), replicas };
}

/** The source's position up to which a subscription's apply worker has applied everything; null while no worker is running. */
export async function reachedBySubscription(
  client: ClientBase,
  subscription: string,
): Promise<bigint | null> {
  const { rows } = await client.query<{ lsn: string | null }>(
    `SELECT max(latest_end_lsn) AS lsn FROM pg_stat_subscription
     WHERE subname = $1 AND relid IS NULL AND pid IS NOT NULL`,
    [subscription],
  );
  const lsn = rows[0]?.lsn;
  return lsn ? bytesOfLsn(lsn) : null;
}

/** The name under which a move's own subscription is listed among the replicas. */
export const SUBSCRIPTION = "subscription";

/** How far a follower is behind: exactly, or at least for as long as it has been watched. */
export interface Lag {
  seconds: number;
  known: boolean;
}

/** The number of looks to remember; beyond it, every second one of the older half is forgotten. */
const MAX_LOOKS = 2000;

/**
 * Tells how long ago an island was at the position where a follower is now, by remembering the island's position
 * at each look. pg_stat_replication.replay_lag is no help: it keeps its last value while a replica does not
 * replay, so that a replica that is stuck looks like one in step.
 */
export class LagClock {
  #looks: { at: number; position: bigint }[] = [];

  /** Remembers a position of the island. */
  note(position: bigint, at = Date.now()): void {
    this.#looks.push({ at, position });
    if (this.#looks.length > MAX_LOOKS)
      this.#looks = this.#looks.filter((_, i) => i % 2 === 0 || i > MAX_LOOKS / 2);
  }

  /** Until a follower has passed the first position that was noted, its exact lag is unknown. */
  lagOf(reached: bigint | null, now = Date.now()): Lag {
    const passed = this.#looks.filter(({ position }) => reached !== null && position <= reached);
    const [oldest, newest] = [this.#looks[0], this.#looks.at(-1)];
    if (!oldest || !newest) return { seconds: 0, known: false };
    if (passed.length === this.#looks.length) return { seconds: 0, known: true };
    const since = passed.at(-1) ?? oldest;
    return { seconds: Math.max(0, now - since.at) / 1000, known: passed.length > 0 };
  }
}
