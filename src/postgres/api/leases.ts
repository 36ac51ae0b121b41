import type { ClientBase } from "pg";

import { qualified } from "../quote.ts";
import { findApiSchema } from "./install.ts";

/** Moves and copies share a shard with one another; a schema change shares it with nobody. */
export type LeaseKind = "replication" | "schema change";

/** Which workflow holds a shard, and for what. */
export interface Lease {
  schema: string;
  workflowId: string;
  runId: string;
  kind: LeaseKind;
  /** Past its term. It is still valid as long as its workflow is known to be running. */
  expired: boolean;
}

/** Seconds for which a lease is valid if there is no way to know whether its workflow is still running. */
const LEASE_SECONDS = 3600;

const leasesTable = (apiSchema: string): string => qualified(apiSchema, "microsharding_leases_");

/** Takes the leases of the shards that are free, and returns the leases that are in the way of the others. */
export async function takeLeases(
  client: ClientBase,
  apiSchema: string,
  { workflowId, runId }: Pick<Lease, "workflowId" | "runId">,
  schemas: readonly string[],
  kind: LeaseKind,
  seconds = LEASE_SECONDS,
): Promise<Lease[]> {
  const { rows } = await client.query<Lease>(
    `SELECT schema_name AS schema, workflow_id AS "workflowId", run_id AS "runId", kind, expired
     FROM ${qualified(apiSchema, "microsharding_leases_take_")}($1, $2, $3, $4, $5)`,
    [schemas, kind, workflowId, runId, seconds],
  );
  return rows;
}

/** Renews all leases that a run holds on an island. */
export async function renewLeases(
  client: ClientBase,
  apiSchema: string,
  runId: string,
  seconds = LEASE_SECONDS,
): Promise<void> {
  await client.query(`SELECT ${qualified(apiSchema, "microsharding_leases_renew_")}($1, $2)`, [
    runId,
    seconds,
  ]);
}

/** Returns all leases that a run holds on an island. */
export async function releaseLeases(client: ClientBase, apiSchema: string, runId: string): Promise<void> {
  await client.query(`SELECT ${qualified(apiSchema, "microsharding_leases_release_")}($1)`, [runId]);
}

/** The leases of a kind on an island. */
export async function readLeases(client: ClientBase, apiSchema: string, kind: LeaseKind): Promise<Lease[]> {
  const { rows } = await client.query<Lease>(
    `SELECT schema_name AS schema, workflow_id AS "workflowId", run_id AS "runId", kind,
       expires_at < clock_timestamp() AS expired
     FROM ${leasesTable(apiSchema)} WHERE kind = $1`,
    [kind],
  );
  return rows;
}

/** The schema of the SQL API if it has leases, otherwise null: installations of an older tool have none. */
export async function findLeasingSchema(client: ClientBase): Promise<string | null> {
  const apiSchema = await findApiSchema(client);
  if (apiSchema === null) return null;
  const { rows } = await client.query<{ leasing: boolean }>("SELECT to_regclass($1) IS NOT NULL AS leasing", [
    leasesTable(apiSchema),
  ]);
  return rows[0]!.leasing ? apiSchema : null;
}
