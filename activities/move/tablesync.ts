import type { ClientBase } from "pg";

import type { CopyReport } from "../../contract/move.ts";
import { ShardferryError } from "../../src/errors.ts";
import { relaxSubscription } from "../../src/postgres/replication/objects.ts";
import { DATABASE_OID } from "../../src/postgres/server.ts";
import { POLL_MS } from "../attempt/poll.ts";
import { type Copied, copied, CopyProgress } from "./parts/copy-progress.ts";
import { copyDirectly } from "./parts/direct-copy.ts";
import { LostTables, resumeCopyAnew } from "./parts/lost-tables.ts";
import { publishedTables } from "./parts/publication.ts";
import { ReplicationTrouble } from "./parts/replication-health.ts";
import { replicasBehind } from "./parts/standings.ts";
import { type MoveStep } from "./parts/step.ts";

/** Copies the rows: by PostgreSQL's tablesync workers, or directly if the shard is small. */
export async function tablesync(step: MoveStep): Promise<CopyReport> {
  const copied = await (step.input.plan.copyMethod === "direct"
    ? copyDirectly(step)
    : waitForTablesync(step));
  return { ...copied, replicasBehind: await replicasBehind(step) };
}

/** How often tablesync workers may fail, without any table becoming ready, before the copy is given up. */
const MAX_FAILURES = 30;

/** Seconds without a byte copied after which the operator is told. */
const STANDSTILL_SECONDS = 30;

interface SyncState {
  tables: number;
  ready: number;
  /** Tables that no worker has started yet. */
  waiting: number;
  workers: number;
  applyPid: number | null;
  failures: number;
}

/** A table that is copied or has been. */
interface CopyState {
  name: string;
  /** pg_subscription_rel.srsubstate: `f`, `s` and `r` if its COPY has ended. */
  state: string;
  /** Counters of its COPY; null when none is running. */
  processed: string | null;
  bytes: string | null;
  /** Rows that are there. */
  present: string;
}

/** One long wait: pg_subscription_rel records the finished tables while workers come and go. */
async function waitForTablesync(step: MoveStep): Promise<Copied> {
  const trouble = new ReplicationTrouble(step);
  const lost = new LostTables(step);
  // A frozen attempt must not wake up and empty what this one has copied.
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  await trouble.look();
  const wanted = await resumeCopyAnew(step);
  const progress = new CopyProgress(await publishedTables(step));
  let best = { ready: -1, failures: 0, since: Date.now() };
  let seen = { counters: "", since: Date.now() };
  for (;;) {
    const state = await step.onDestination((client) => readSyncState(client, step.replicationName));
    const counters = `${state.ready} ${await count(step, progress)}`;
    await trouble.look();
    if (counters !== seen.counters) seen = { counters, since: Date.now() };
    const waitingFor =
      (await lost.look()) ?? workerTrouble(step, state, best.since) ?? standstill(step, seen.since);
    if (state.ready === state.tables && state.tables >= wanted) {
      await step.onDestination((client) => relaxSubscription(client, step.replicationName));
      return allCopied(step, progress);
    }
    if (state.ready > best.ready || state.workers > 0) {
      best = {
        ready: state.ready,
        failures: state.ready > best.ready ? state.failures : best.failures,
        since: Date.now(),
      };
    }
    if (state.failures - best.failures > MAX_FAILURES) throw new TablesyncError(step, state.failures);
    step.beat({ ...progress.look(), waitingFor: waitingFor ?? undefined });
    await step.attempt.pause(POLL_MS);
  }
}

/** The tables cannot be copied; only the destination's log says why. */
class TablesyncError extends ShardferryError {
  constructor(step: MoveStep, failures: number) {
    super(
      "tablesync_failed",
      `tablesync of "${step.schema}" failed ${failures} times; the server log of ${step.to} has the reason ` +
        `(look for the subscription ${step.replicationName})`,
    );
  }
}

async function readSyncState(client: ClientBase, subscription: string): Promise<SyncState> {
  const { rows } = await client.query<Record<keyof SyncState, string | null>>(SYNC_STATE_SQL, [subscription]);
  const failures = await countFailures(client, subscription);
  const row = rows[0]!;
  return {
    tables: Number(row.tables),
    ready: Number(row.ready),
    waiting: Number(row.waiting),
    workers: Number(row.workers),
    applyPid: row.applyPid === null ? null : Number(row.applyPid),
    failures,
  };
}

const SYNC_STATE_SQL = `
  WITH own AS (
    SELECT oid FROM pg_subscription
    WHERE subname = $1 AND subdbid = ${DATABASE_OID}
  ),
  state AS (SELECT r.* FROM pg_subscription_rel r JOIN own ON own.oid = r.srsubid)
  SELECT
    count(*) AS tables,
    count(*) FILTER (WHERE state.srsubstate = 'r') AS ready,
    count(*) FILTER (WHERE state.srsubstate = 'i') AS waiting,
    (SELECT count(*) FROM pg_stat_subscription s JOIN own ON own.oid = s.subid WHERE s.relid IS NOT NULL AND s.pid IS NOT NULL) AS workers,
    (SELECT min(s.pid) FROM pg_stat_subscription s JOIN own ON own.oid = s.subid WHERE s.relid IS NULL) AS "applyPid"
  FROM state`;

/** Milliseconds after which the statistics of a server before 15 are there. */
const STATISTICS_MS = 1000;

/** What has been copied in all, once every table is there. */
async function allCopied(step: MoveStep, progress: CopyProgress): Promise<Copied> {
  if (step.input.plan.destination.serverMajor < 15) await step.attempt.pause(STATISTICS_MS);
  await count(step, progress);
  step.beat(progress.look());
  const { rows, bytes } = progress;
  return { text: copied(rows, bytes), rows, bytes };
}

/** Counts what has been copied; returns the bare counters, which change as long as anything is. */
async function count(step: MoveStep, progress: CopyProgress): Promise<string> {
  const { rows } = await step.onDestination((client) =>
    client.query<CopyState>(COPY_STATE_SQL, [step.replicationName]),
  );
  let processed = 0;
  for (const { name, state, ...counters } of rows) {
    processed += Number(counters.processed ?? 0);
    if ("fsr".includes(state)) progress.ended(name, Number(counters.present));
    else if (counters.processed !== null)
      progress.running(name, { rows: Number(counters.processed), bytes: Number(counters.bytes) });
  }
  return `${rows.filter(({ state }) => "fsr".includes(state)).length} ${processed}`;
}

/**
 * Until the COPY of a table has ended, its own counter counts, and from then on the statistics; never both. These count the
 * rows of failed attempts as inserted, too, so the live ones are taken, unless a sample has replaced them.
 */
const COPY_STATE_SQL = `
  SELECT c.relname AS name, r.srsubstate AS state, p.tuples_processed AS processed, p.bytes_processed AS bytes,
    CASE WHEN t.sampled THEN pg_stat_get_tuples_inserted(c.oid) ELSE pg_stat_get_live_tuples(c.oid) END AS present
  FROM pg_subscription s
  JOIN pg_subscription_rel r ON r.srsubid = s.oid
  JOIN pg_class c ON c.oid = r.srrelid
  LEFT JOIN pg_stat_progress_copy p ON p.relid = r.srrelid AND p.datid = s.subdbid
  CROSS JOIN LATERAL (
    SELECT pg_stat_get_autoanalyze_count(c.oid) + pg_stat_get_analyze_count(c.oid)
      + pg_stat_get_autovacuum_count(c.oid) + pg_stat_get_vacuum_count(c.oid) > 0 AS sampled
  ) t
  WHERE s.subname = $1 AND s.subdbid = ${DATABASE_OID} AND r.srsubstate <> 'i'`;

/** Failures of tablesync since the subscription was created; PostgreSQL counts them since version 15. */
async function countFailures(client: ClientBase, subscription: string): Promise<number> {
  const { rows } = await client.query<{ known: boolean }>(
    "SELECT to_regclass('pg_catalog.pg_stat_subscription_stats') IS NOT NULL AS known",
  );
  if (!rows[0]?.known) return 0;
  // Version 19 has given the column another name.
  const stats = await client.query<{ failures: string | null }>(
    `SELECT coalesce(to_jsonb(s)->>'sync_table_error_count', to_jsonb(s)->>'sync_error_count') AS failures
     FROM pg_stat_subscription_stats s WHERE subname = $1`,
    [subscription],
  );
  return Number(stats.rows[0]?.failures ?? 0);
}

/** Detects exhausted workers, which nothing reports: tables beyond the limit just stay in state 'i'. */
function workerTrouble(step: MoveStep, state: SyncState, lastMove: number): string | null {
  if (Date.now() - lastMove < 5000) return null;
  if (state.applyPid === null) {
    return (
      `a logical replication worker on ${step.to}: none is free, or it cannot reach ${step.from} ` +
      `(max_logical_replication_workers, max_worker_processes; the server log has the reason)`
    );
  }
  if (state.failures > 0)
    return `tablesync, which failed ${state.failures} times; the server log of ${step.to} has the reason`;
  return state.waiting > 0 && state.workers === 0
    ? `a free tablesync worker on ${step.to} (max_sync_workers_per_subscription, max_logical_replication_workers)`
    : null;
}

/** PostgreSQL does not count every failure of a tablesync worker, so this tells when nothing is being copied. */
function standstill(step: MoveStep, since: number): string | null {
  const seconds = Math.round((Date.now() - since) / 1000);
  return seconds < STANDSTILL_SECONDS
    ? null
    : `tablesync, which has copied nothing for ${seconds} s; the server logs of ${step.to} and ${step.from} may say why`;
}
