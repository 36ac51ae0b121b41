import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { ShardferryError } from "../errors.ts";
import { canRefreshDebugViews, refreshDebugViews } from "../postgres/api/debug-views.ts";
import { activeShardsSql } from "../postgres/api/shards.ts";
import { findSqlApi } from "../postgres/api/sql-api.ts";
import type { Islands } from "../postgres/islands/connections.ts";
import { type Lend, limited, type Patience, withLockRetry } from "../postgres/locks.ts";
import {
  disableSubscription,
  dropPublication,
  dropSlots,
  dropSubscription,
} from "../postgres/replication/objects.ts";
import { dropSchema } from "../postgres/schema/drop-schema.ts";
import type { SchemaRow } from "./catalog.ts";
import type { Judged } from "./judge.ts";

/** Milliseconds for which a drop waits for sessions that are in its way. */
const PATIENCE_MS = 10_000;

/** Somebody is using what is to be dropped. */
class InUseError extends ShardferryError {
  constructor(island: IslandName, name: string, waitingFor: string) {
    super(
      "in_use",
      `"${name}" on ${island} is in use (${waitingFor}): run cleanup again when it is no longer used`,
    );
  }
}

/** The schema that was to be dropped has changed in the meantime. */
class ChangedError extends ShardferryError {
  constructor(island: IslandName, name: string) {
    super(
      "changed",
      `schema "${name}" on ${island} was renamed, activated or recreated in the meantime; it is left alone`,
    );
  }
}

/** Called with what is being waited for, or the progress of a long drop. */
export type Tell = (line: string) => void;

/** Brings the debug views of an island up to date, so that they do not depend on old copies. */
export async function freeFromDebugViews(islands: Islands, island: IslandName, tell: Tell): Promise<void> {
  await islands.withClient(island, async (client) => {
    const api = await findSqlApi(client);
    if (!api) return;
    if (!(await canRefreshDebugViews(client, api.schema))) return;
    const warnings = await refreshDebugViews(client, api.schema, {
      island,
      patience: waiting(island, "the debug views", tell),
      lend: (use) => islands.withLook(island, use),
    });
    for (const warning of warnings) tell(`${island}: ${warning}`);
  });
}

/** Drops one leftover; one that is already gone counts as dropped. */
export async function dropLeftover(islands: Islands, leftover: Judged, tell: Tell): Promise<void> {
  const { island, kind, name } = leftover;
  await islands.withClient(island, async (client) => {
    if (kind === "slot") return dropSlots(client, name, null);
    if (kind === "publication") {
      // It records the former replica identities of its tables; dropping it restores them.
      const patience = patienceFor(island, name, tell);
      const lend: Lend = (use) => islands.withLook(island, use);
      return dropPublication(client, name, (sql) => withLockRetry(client, sql, patience, lend));
    }
    if (kind === "subscription") return dropReplica(islands, client, name);
    return dropCopy(islands, client, leftover, tell);
  });
}

/** Drops a subscription, and the slots that its tablesync workers may have left on other islands, named after it. */
async function dropReplica(islands: Islands, client: ClientBase, name: string): Promise<void> {
  const slots = await disableSubscription(client, name);
  if (slots === null) return;
  for (const other of islands.names())
    await islands.withClient(other, (there) => dropSlots(there, "", slots));
  // Last, because it is needed to find the slots.
  await dropSubscription(client, name);
}

async function dropCopy(islands: Islands, client: ClientBase, leftover: Judged, tell: Tell): Promise<void> {
  const { island, name } = leftover;
  const patience = patienceFor(island, name, tell);
  const ensureSame = async (): Promise<void> => {
    if (!(await isSame(client, leftover))) throw new ChangedError(island, name);
  };
  await dropSchema(client, name, {
    island,
    patience,
    lend: (use) => islands.withLook(island, use),
    ensureSame,
    tell: (left) => {
      patience.renew();
      if (left > 0) tell(`${island}: ${name}: ${left} tables, views and sequences left`);
    },
  });
}

/** True if it is still the schema that was judged, and not active. */
async function isSame(client: ClientBase, { name, row, api }: Judged): Promise<boolean> {
  const { oid, comment } = row as SchemaRow;
  const active = api ? `SELECT nspname FROM (${activeShardsSql(api)}) shard` : "NULL";
  const { rowCount } = await client.query(
    `SELECT FROM pg_namespace
     WHERE oid = $1 AND nspname = $2 AND obj_description(oid, 'pg_namespace') IS NOT DISTINCT FROM $3
       AND (nspname IN (${active})) IS NOT TRUE`,
    [oid, name, comment],
  );
  return rowCount === 1;
}

function patienceFor(island: IslandName, name: string, tell: Tell): Patience & { renew(): void } {
  return limited(
    waiting(island, name, tell),
    PATIENCE_MS,
    (waitingFor) => new InUseError(island, name, waitingFor),
  );
}

const waiting = (island: IslandName, name: string, tell: Tell): Patience => ({
  pause: (ms) => sleep(ms),
  beat: ({ waitingFor }) => tell(`${island}: ${name}: waiting for ${waitingFor}`),
});
