import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { findLeasingSchema, type Lease, releaseLeases, renewLeases } from "../../src/postgres/api/leases.ts";
import type { ActivityAttempt } from "./attempt.ts";

/** Milliseconds between two renewals: several within the term of a lease. */
const RENEW_MS = 600_000;

/**
 * Takes away the leases whose owner is gone: a workflow that has ended without returning them, or one that is not known
 * here and has not renewed them. Returns the leases that are still valid.
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

/** Says in words which workflows are being waited for. */
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

/** Renews the leases that the run holds on an island. */
export async function renewLeasesOn(attempt: ActivityAttempt, island: IslandName): Promise<void> {
  await attempt.deps.islands.withClient(island, async (client) => {
    const apiSchema = await findLeasingSchema(client);
    if (apiSchema !== null) await renewLeases(client, apiSchema, attempt.runId);
  });
}

/**
 * Runs a step and renews the run's leases on some islands in the meantime. An island that does not respond is asked again
 * the next time; should a lease be lost all the same, the comparison of the catalogs under the lock is the last guard.
 */
export async function keepingLeases<T>(
  attempt: ActivityAttempt,
  islands: readonly IslandName[],
  run: () => Promise<T>,
): Promise<T> {
  const renew = (): Promise<unknown> =>
    Promise.allSettled(islands.map((island) => renewLeasesOn(attempt, island)));
  const renewing = setInterval(() => void renew(), RENEW_MS);
  try {
    return await run();
  } finally {
    clearInterval(renewing);
  }
}
