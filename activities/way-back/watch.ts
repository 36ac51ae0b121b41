import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import type { WatchInput, WayBackTrouble } from "../../contract/way-back.ts";
import { messageOf } from "../../src/errors.ts";
import { bytes } from "../../src/format.ts";
import { keptWal } from "../../src/postgres/replication/kept-wal.ts";
import { bytesOfLsn, reachedBySubscription } from "../../src/postgres/replication/lag.ts";
import { schemaFingerprint } from "../../src/postgres/schema/fingerprint.ts";
import { DATABASE_OID, TIMELINE } from "../../src/postgres/server.ts";
import type { MoveStep } from "../move/parts/step.ts";
import { WorkerStopsError } from "../move/watch-wal.ts";
import { isOwnCopy } from "./old-copy.ts";

/** Milliseconds between two looks; in that time, writers of 2,000 rows a second make a few MB of WAL. */
const EVERY_MS = 1000;

/** WAL that is worth telling the workflow, whose history grows by it; from then on, each quarter more. */
const NOTEWORTHY_BYTES = 64 << 20;
const GROWTH = 1.25;

/**
 * Watches an open way back until it is cancelled; returns what ends it: too much WAL, DDL, a slot or subscription that is
 * gone, a failover. The side of the old copy may be away for any time that the budget of WAL allows.
 */
export async function watchWayBack(step: MoveStep, input: WatchInput): Promise<WayBackTrouble> {
  const { attempt, from, to } = step;
  const ended = AbortSignal.any([attempt.deps.stopping, attempt.signal]);
  let told = NOTEWORTHY_BYTES / GROWTH;
  for (;;) {
    const here = await step.onSource((client) => lookHere(step, client, input));
    if ("end" in here) return here;
    const there = input.open
      ? await step.onDestination((client) => lookThere(step, client)).catch(messageOf)
      : null;
    if (there !== null && typeof there === "object" && "end" in there) return there;
    const { walKeptBytes, position } = here;
    const lag = lagOf(there, position);
    attempt.beat({ walKeptBytes, note: note(from, to, lag, there) });
    if (walKeptBytes > told * GROWTH) {
      told = walKeptBytes;
      attempt.notice({ walKeptBytes });
    }
    await sleep(EVERY_MS, undefined, { signal: ended }).catch(() => attempt.throwIfCancelled());
    if (attempt.deps.stopping.aborted) throw new WorkerStopsError();
  }
}

interface Here {
  walKeptBytes: number;
  position: bigint;
}

/** Where the shard is: the slot, its WAL, and the structure. */
async function lookHere(
  step: MoveStep,
  client: ClientBase,
  { maxWalBytes, open, fingerprint }: WatchInput,
): Promise<Here | WayBackTrouble> {
  const { schema, from, replicationName } = step;
  const { rows } = await client.query<{ status: string | null; position: string }>(
    `SELECT (SELECT coalesce(wal_status, 'unknown') FROM pg_replication_slots WHERE slot_name = $1) AS status,
       pg_current_wal_lsn() AS position`,
    [replicationName],
  );
  const { status, position } = rows[0]!;
  if (status === null) return broken(`its slot on ${from} (${replicationName}) is gone, as after a failover`);
  if (status === "lost")
    return broken(`${from} has removed WAL that it still needed (slot ${replicationName} is lost)`);
  const walKeptBytes = await keptWal(client, replicationName, { subscription: null, systemIdentifier: "" });
  if (walKeptBytes > maxWalBytes)
    return {
      end: "wal limit",
      reason: `${from} keeps ${bytes(walKeptBytes)} of WAL for it, more than --reversible-max-wal (${bytes(maxWalBytes)}) allows`,
    };
  if (open && (await schemaFingerprint(client, schema)) !== fingerprint)
    return broken(
      `the structure of "${schema}" on ${from} has changed (DDL), and the old copy does not follow that`,
    );
  return { walKeptBytes, position: bytesOfLsn(position) };
}

interface There {
  reached: bigint | null;
  failures: number;
}

/** Where the old copy is. */
async function lookThere(step: MoveStep, client: ClientBase): Promise<There | WayBackTrouble> {
  const { to, replicationName } = step;
  const { rows } = await client.query<{ timeline: string; enabled: boolean | null; counts: boolean }>(
    `SELECT ${TIMELINE} AS timeline,
       (SELECT subenabled FROM pg_subscription WHERE subname = $1 AND subdbid = ${DATABASE_OID}) AS enabled,
       to_regclass('pg_catalog.pg_stat_subscription_stats') IS NOT NULL AS counts`,
    [replicationName],
  );
  const { timeline, enabled, counts } = rows[0]!;
  if (timeline !== step.input.plan.destination.timeline)
    return broken(`${to} has been failed over or restored, and may lack changes that are not sent again`);
  if (enabled === null) return broken(`its subscription on ${to} (${replicationName}) is gone`);
  if (!enabled) return broken(`its subscription on ${to} (${replicationName}) was disabled`);
  if (!(await isOwnCopy(step, client))) return broken(`the old copy on ${to} was dropped or renamed`);
  const failures = counts
    ? await client.query<{ count: string }>(
        "SELECT apply_error_count AS count FROM pg_stat_subscription_stats WHERE subname = $1",
        [replicationName],
      )
    : { rows: [] };
  return {
    reached: await reachedBySubscription(client, replicationName),
    failures: Number(failures.rows[0]?.count ?? 0),
  };
}

const broken = (reason: string): WayBackTrouble => ({ end: "broken", reason });

const lagOf = (there: There | string | null, position: bigint): number | null =>
  there === null || typeof there === "string" || there.reached === null
    ? null
    : Math.max(0, Number(position - there.reached));

function note(from: string, to: string, lag: number | null, there: There | string | null): string {
  if (there === null) return `the slot on ${from} keeps what the way back needs`;
  if (typeof there === "string") return `${to} does not answer: ${there}`;
  const failing =
    there.failures > 0 ? `; applying has failed ${there.failures} times, see the log of ${to}` : "";
  return lag === null
    ? `no apply worker is running on ${to}${failing}`
    : `the old copy on ${to} is ${bytes(lag)} of WAL behind${failing}`;
}
