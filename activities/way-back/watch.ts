import type { ClientBase } from "pg";

import type { WatchInput, WayBackTrouble } from "../../contract/way-back.ts";
import { messageOf } from "../../src/errors.ts";
import { bytes } from "../../src/format.ts";
import { keptWal } from "../../src/postgres/replication/kept-wal.ts";
import { bytesOfLsn, reachedBySubscription } from "../../src/postgres/replication/lag.ts";
import { schemaFingerprint } from "../../src/postgres/schema/fingerprint.ts";
import { DATABASE_OID, TIMELINE } from "../../src/postgres/server.ts";
import { walTeller, watchUntil } from "../attempt/watching.ts";
import { readApplyState } from "../move/parts/replication-health.ts";
import type { MoveStep } from "../move/parts/step.ts";
import { isOwnCopy } from "./old-copy.ts";

/** Milliseconds between two looks at the structure: its fingerprint is read from a dozen catalogs. */
const STRUCTURE_EVERY_MS = 10_000;

/**
 * Watches an open way back until it is cancelled; returns what ends it: too much WAL, DDL, a slot or subscription that is
 * gone, a failover. The server of the old copy may be down for as long as the budget of WAL allows.
 */
export async function watchWayBack(step: MoveStep, input: WatchInput): Promise<WayBackTrouble> {
  const { attempt, from, to } = step;
  const tell = walTeller(attempt);
  const hasChanged = structureWatch(step, input);
  return watchUntil(attempt, async () => {
    const here = await step.onSource((client) => lookHere(step, client, input, hasChanged));
    if ("end" in here) return here;
    const there = input.open
      ? await step.onDestination((client) => lookThere(step, client)).catch(messageOf)
      : null;
    if (there !== null && typeof there === "object" && "end" in there) return there;
    const { walKeptBytes, position } = here;
    const lagBytes = lagOf(there, position) ?? undefined;
    attempt.beat({ walKeptBytes, lagBytes, note: note(from, to, lagBytes, there) });
    tell(walKeptBytes);
    return null;
  });
}

interface Here {
  walKeptBytes: number;
  position: bigint;
}

/** Looks at the shard's side: the slot, its WAL, and the structure. */
async function lookHere(
  step: MoveStep,
  client: ClientBase,
  { maxWalBytes }: WatchInput,
  hasChanged: (client: ClientBase) => Promise<boolean>,
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
  if (await hasChanged(client))
    return broken(
      `the structure of "${schema}" on ${from} has changed (DDL), and the old copy does not follow that`,
    );
  return { walKeptBytes, position: bytesOfLsn(position) };
}

/** Returns a function that says whether the structure differs from that of the switch, as far as it has looked. */
function structureWatch(
  { schema }: MoveStep,
  { open, fingerprint }: WatchInput,
): (client: ClientBase) => Promise<boolean> {
  let nextAt = open ? 0 : Infinity;
  return async (client) => {
    if (Date.now() < nextAt) return false;
    nextAt = Date.now() + STRUCTURE_EVERY_MS;
    return (await schemaFingerprint(client, schema)) !== fingerprint;
  };
}

interface There {
  reached: bigint | null;
  failures: number;
}

/** Looks at the old copy's side. */
async function lookThere(step: MoveStep, client: ClientBase): Promise<There | WayBackTrouble> {
  const { to, replicationName } = step;
  const { rows } = await client.query<{ timeline: string; enabled: boolean | null }>(
    `SELECT ${TIMELINE} AS timeline,
       (SELECT subenabled FROM pg_subscription WHERE subname = $1 AND subdbid = ${DATABASE_OID}) AS enabled`,
    [replicationName],
  );
  const { timeline, enabled } = rows[0]!;
  if (timeline !== step.input.plan.destination.timeline)
    return broken(`${to} has been failed over or restored, and may lack changes that are not sent again`);
  if (enabled === null) return broken(`its subscription on ${to} (${replicationName}) is gone`);
  if (!enabled) return broken(`its subscription on ${to} (${replicationName}) was disabled`);
  if (!(await isOwnCopy(step, client))) return broken(`the old copy on ${to} was dropped or renamed`);
  const { count: failures } = await readApplyState(client, replicationName);
  return { reached: await reachedBySubscription(client, replicationName), failures };
}

const broken = (reason: string): WayBackTrouble => ({ end: "broken", reason });

const lagOf = (there: There | string | null, position: bigint): number | null =>
  there === null || typeof there === "string" || there.reached === null
    ? null
    : Math.max(0, Number(position - there.reached));

function note(from: string, to: string, lag: number | undefined, there: There | string | null): string {
  if (there === null) return `the slot on ${from} keeps what the way back needs`;
  if (typeof there === "string") return `${to} does not answer: ${there}`;
  const failing =
    there.failures > 0 ? `; applying has failed ${there.failures} times, see the log of ${to}` : "";
  return lag === undefined
    ? `no apply worker is running on ${to}${failing}`
    : `the old copy on ${to} is ${bytes(lag)} of WAL behind${failing}`;
}
