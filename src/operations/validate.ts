import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { ShardferryError } from "../errors.ts";
import { requireActive } from "../layout/where.ts";
import { type ActiveShard, readActiveShards } from "../postgres/api/active-shards.ts";
import { findLeasingSchema, releaseLeases, renewLeases, takeLeases } from "../postgres/api/leases.ts";
import { hasSqlstate, isSqlstate, SQLSTATE, sqlstateOf } from "../postgres/errors/sqlstate.ts";
import { messageWithoutRows } from "../postgres/errors/without-rows.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { withIslands } from "../postgres/islands/discover.ts";
import { limited, withLockRetry } from "../postgres/locks.ts";
import { readUnvalidatedKeys, type UnvalidatedKey } from "../postgres/schema/unvalidated-keys.ts";
import { dsnsOf } from "./with-islands.ts";

export interface ValidateRequest {
  /** Number of one shard. */
  shard?: number | undefined;
  /** Numbers of the shards; by default all active ones. */
  shards?: readonly number[] | undefined;
  /** Only lists the keys that are NOT VALID. */
  dryRun?: boolean | undefined;
}

/** A foreign key that was NOT VALID. */
export interface ValidatedKey {
  readonly island: IslandName;
  readonly no: number;
  readonly schema: string;
  readonly table: string;
  readonly constraint: string;
  /** `found` in a dry run; `busy` if a move, a migration or a lock is in the way. */
  readonly outcome: "validated" | "found" | "violated" | "busy" | "failed";
  /** Why it is not validated, and what to do; null if it is. */
  readonly reason: string | null;
}

/** Seconds after which the lease of a command that has died is free again. */
const LEASE_SECONDS = 60;
/** Milliseconds for which the lock of one key is requested. */
const LOCK_PATIENCE_MS = 30_000;

/** A lock was not granted, despite all attempts. */
class KeyLockedError extends ShardferryError {
  constructor(blockers: string) {
    super("locked", `its lock was not granted within ${LOCK_PATIENCE_MS / 1000} s; blocked by ${blockers}`);
  }
}

/**
 * Validates the foreign keys of active shards that are NOT VALID, one after the other on each island. Reads and writes continue
 * meanwhile. Moves and migrations of a shard wait until its keys are done.
 */
export async function validateKeys(
  settings: Settings,
  request: ValidateRequest = {},
): Promise<ValidatedKey[]> {
  const dsns = dsnsOf(settings);
  const wanted = request.shard === undefined ? request.shards : [...(request.shards ?? []), request.shard];
  return withIslands(dsns, (islands) =>
    // A second session on each island renews the lease, and sees what blocks the first.
    withIslands(dsns, async (observers) => {
      const shards = await Promise.all(islands.map(({ client }) => readActiveShards(client)));
      await requireActive(islands, shards.flat(), wanted ?? []);
      const chosen = shards.map((list) => list.filter(({ no }) => wanted?.includes(no) ?? true));
      const found = await Promise.all(
        islands.map((island, i) => {
          const observer = observers.find(({ name }) => name === island.name)!;
          return validateIsland(island, observer, chosen[i]!, request.dryRun ?? false);
        }),
      );
      return found.flat();
    }),
  );
}

async function validateIsland(
  island: ConnectedIsland,
  observer: ConnectedIsland,
  shards: readonly ActiveShard[],
  dryRun: boolean,
): Promise<ValidatedKey[]> {
  const { client, name } = island;
  const keys = await readUnvalidatedKeys(
    client,
    shards.map(({ schema }) => schema),
  );
  const results: ValidatedKey[] = [];
  for (const { no, schema } of shards) {
    const own = keys.filter((key) => key.schema === schema);
    if (own.length === 0) continue;
    const result = ({ table, name: constraint }: UnvalidatedKey, told: Told): ValidatedKey => ({
      island: name,
      no,
      schema,
      table,
      constraint,
      outcome: told.outcome,
      reason: told.reason,
    });
    if (dryRun) results.push(...own.map((key) => result(key, { outcome: "found", reason: null })));
    else
      await withLease(island, observer, schema, async (holder) => {
        for (const key of own)
          results.push(
            result(
              key,
              holder === null
                ? await validate(island, observer, key)
                : { outcome: "busy", reason: `${holder} holds the shard: run it again when that has ended` },
            ),
          );
      });
  }
  return results;
}

type Told = Pick<ValidatedKey, "outcome" | "reason">;

/**
 * Runs something while no move or migration can begin with the shard: a key that becomes valid is a change of the schema,
 * which would undo a move. Passes the workflow that has the shard, if there is one.
 */
async function withLease(
  { client }: ConnectedIsland,
  observer: ConnectedIsland,
  schema: string,
  use: (holder: string | null) => Promise<void>,
): Promise<void> {
  const apiSchema = await findLeasingSchema(client);
  if (apiSchema === null) return use(null);
  const owner = { workflowId: `validate-${schema}`, runId: randomUUID() };
  const blocking = await takeLeases(client, apiSchema, owner, [schema], "schema change", LEASE_SECONDS);
  if (blocking.length > 0) return use(blocking[0]!.workflowId);
  // A lease that cannot be renewed runs out; the switch of a move compares the catalogs then.
  const renew = (): unknown =>
    renewLeases(observer.client, apiSchema, owner.runId, LEASE_SECONDS).catch(() => undefined);
  const renewing = setInterval(renew, (1000 * LEASE_SECONDS) / 4);
  try {
    await use(null);
  } finally {
    clearInterval(renewing);
    await releaseLeases(observer.client, apiSchema, owner.runId);
  }
}

async function validate(
  { client }: ConnectedIsland,
  observer: ConnectedIsland,
  { validateSql, rowsSql }: UnvalidatedKey,
): Promise<Told> {
  const patience = limited(
    { pause: (ms) => sleep(ms), beat: () => undefined },
    LOCK_PATIENCE_MS,
    (blockers) => new KeyLockedError(blockers),
  );
  try {
    await withLockRetry(client, validateSql, patience, (use) => use(observer.client));
    return { outcome: "validated", reason: null };
  } catch (error) {
    if (error instanceof KeyLockedError) return { outcome: "busy", reason: error.message };
    // The message itself has no rows, but its detail has.
    if (hasSqlstate(error, SQLSTATE.foreignKeyViolation))
      return { outcome: "violated", reason: `rows violate it: ${rowsSql}` };
    if (!isSqlstate(sqlstateOf(error)) || error instanceof ShardferryError) throw error;
    return { outcome: "failed", reason: messageWithoutRows(error) };
  }
}
