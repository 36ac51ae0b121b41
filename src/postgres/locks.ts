import type { ClientBase } from "pg";

/** Who holds a lock that we want. */
export interface Blocker {
  pid: number;
  text: string;
  /** An autovacuum worker that gives way when cancelled (not one that prevents wraparound). */
  cancellable: boolean;
}

/** Those for whom the backend `pid` is waiting right now; looked at from another session. */
export async function blockersOf(client: ClientBase, pid: number): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `SELECT
       a.pid,
       concat_ws(' ', 'pid', a.pid, nullif(a.usename, ''), '(' || nullif(a.application_name, '') || ')', a.state,
         'for ' || extract(epoch FROM clock_timestamp() - a.xact_start)::int || ' s:', left(a.query, 120)) AS text,
       a.backend_type = 'autovacuum worker' AND a.query NOT LIKE '%to prevent wraparound%' AS cancellable
     FROM unnest(pg_blocking_pids($1)) AS blocking(pid)
     JOIN pg_stat_activity a USING (pid)
     UNION ALL
     SELECT 0, 'a prepared transaction (see pg_prepared_xacts)', false
     FROM unnest(pg_blocking_pids($1)) AS blocking(pid) WHERE blocking.pid = 0`,
    [pid],
  );
  return rows;
}

/** Milliseconds that a statement of ours may make others queue behind it. */
export const LOCK_TIMEOUT_MS = 100;

/** What a retry loop needs of the step that runs it. */
export interface Patience {
  pause(ms: number): Promise<void>;
  beat(progress: { waitingFor: string }): void;
}

/** Milliseconds until the next try: grows to a second, with jitter, so that two of us don't keep in step. */
export const backoffMs = (attempt: number): number =>
  Math.min(1000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);

/**
 * Runs a statement that needs a strong lock on a live table: with a short lock timeout and retries, since
 * everybody else queues behind a lock that is waited for (an insert waited 3.2 s behind one).
 */
export async function withLockRetry(client: ClientBase, sql: string, patience: Patience): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      // One round trip, one transaction.
      await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${sql}`);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "55P03") throw error;
      patience.beat({ waitingFor: `a lock: ${sql}` });
      await patience.pause(backoffMs(attempt));
    }
  }
}
