import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { findApiSchema } from "../../src/postgres/api/install.ts";
import { qualified } from "../../src/postgres/quote.ts";
import type { ActivityAttempt } from "./attempt.ts";

/** Moves and copies share a shard with one another; a schema change shares it with nobody. */
export type LeaseKind = "replication" | "schema change";

/** A lease of somebody else. */
export interface Lease {
  schema: string;
  workflowId: string;
  runId: string;
  kind: LeaseKind;
  /** Past its time. It still counts while its workflow is known to run. */
  expired: boolean;
}

/** Seconds for which a lease counts where nobody can be asked whether its workflow still runs. */
const LEASE_SECONDS = 3600;

/** A lease is renewed several times within its time. */
const RENEW_MS = 600_000;

/** Takes the leases of those shards of an island that are free, and answers those that are in the way of the others. */
export async function takeLeases(
  attempt: ActivityAttempt,
  client: ClientBase,
  apiSchema: string,
  schemas: readonly string[],
  kind: LeaseKind,
): Promise<Lease[]> {
  const { rows } = await client.query<Lease>(
    `SELECT schema_name AS schema, workflow_id AS "workflowId", run_id AS "runId", kind, expired
     FROM ${qualified(apiSchema, "microsharding_leases_take_")}($1, $2, $3, $4, $5)`,
    [schemas, kind, attempt.workflowId, attempt.runId, LEASE_SECONDS],
  );
  return rows;
}

/** Gives up all leases that a run holds on an island. */
export async function releaseLeases(client: ClientBase, apiSchema: string, runId: string): Promise<void> {
  await client.query(`SELECT ${qualified(apiSchema, "microsharding_leases_release_")}($1)`, [runId]);
}

/**
 * Takes those leases away whose owner is gone: a workflow that has ended without giving them up, or one that nobody
 * knows here and that has not renewed them. Answers those that still count.
 */
export async function evictDead(
  attempt: ActivityAttempt,
  client: ClientBase,
  apiSchema: string,
  leases: readonly Lease[],
): Promise<Lease[]> {
  const alive: Lease[] = [];
  const runs = new Map(leases.map((lease) => [lease.runId, lease]));
  for (const { workflowId, runId, expired } of runs.values()) {
    const state = await attempt.stateOf(workflowId, runId);
    const dead = state === "over" || (state === "unknown" && expired);
    if (dead) await releaseLeases(client, apiSchema, runId);
    else alive.push(...leases.filter((lease) => lease.runId === runId));
  }
  return alive;
}

/** For whom is waited, in words. */
export function describeLeases(leases: readonly Lease[], island: IslandName): string {
  const shards = new Map<string, string[]>();
  for (const { workflowId, schema } of leases)
    shards.set(workflowId, [...(shards.get(workflowId) ?? []), schema]);
  return [...shards]
    .slice(0, 5)
    .map(([workflowId, schemas]) => {
      const shown = schemas.slice(0, 3).join(", ") + (schemas.length > 3 ? ", …" : "");
      return `${workflowId}, which holds ${shown} on ${island}`;
    })
    .join("; ");
}

/** The SQL API's schema, where it has leases; null elsewhere. */
export async function leasingLib(client: ClientBase): Promise<string | null> {
  const apiSchema = await findApiSchema(client);
  if (apiSchema === null) return null;
  const { rows } = await client.query<{ leasing: boolean }>("SELECT to_regclass($1) IS NOT NULL AS leasing", [
    qualified(apiSchema, "microsharding_leases_"),
  ]);
  return rows[0]!.leasing ? apiSchema : null;
}

/** Renews the leases that the run holds on an island. */
export async function renewLeases(attempt: ActivityAttempt, island: IslandName): Promise<void> {
  await attempt.deps.islands.withClient(island, async (client) => {
    const apiSchema = await leasingLib(client);
    if (apiSchema === null) return;
    const sql = `SELECT ${qualified(apiSchema, "microsharding_leases_renew_")}($1, $2)`;
    await client.query(sql, [attempt.runId, LEASE_SECONDS]);
  });
}

/**
 * Runs a step and renews the run's leases on some islands meanwhile. An island that does not answer is asked again the
 * next time; should a lease be lost for all that, the comparison of the catalogs under the lock is what remains.
 */
export async function keepingLeases<T>(
  attempt: ActivityAttempt,
  islands: readonly IslandName[],
  run: () => Promise<T>,
): Promise<T> {
  const renew = (): Promise<unknown> =>
    Promise.allSettled(islands.map((island) => renewLeases(attempt, island)));
  const renewing = setInterval(() => void renew(), RENEW_MS);
  try {
    return await run();
  } finally {
    clearInterval(renewing);
  }
}
