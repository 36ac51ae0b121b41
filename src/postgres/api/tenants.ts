import type { ClientBase } from "pg";

import { ident, qualified } from "../quote.ts";

/** The lookup table of tenants, in the global shard. */
export const tenantsTable = (globalSchema: string): string =>
  qualified(globalSchema, "microsharding_tenants_");

/** Creates the lookup table of tenants if it is missing. */
export async function ensureTenantsTable(client: ClientBase, apiSchema: string): Promise<void> {
  await client.query(`SELECT ${ident(apiSchema)}.microsharding_tenants_ensure_()`);
}

/** Assigns a tenant to the first of some shards that takes it; one that is already assigned stays where it is. */
export async function assignTenant(
  client: ClientBase,
  apiSchema: string,
  tenant: string,
  candidates: readonly number[],
  pin: boolean,
): Promise<void> {
  await client.query(
    `SELECT ${ident(apiSchema)}.microsharding_tenant_assign_($1::text, $2::int[], $3::boolean)`,
    [tenant, candidates, pin],
  );
}

/** Opens the shards of pinned tenants to others again. */
export async function unpinTenantsOn(
  client: ClientBase,
  apiSchema: string,
  tenants: readonly string[],
): Promise<void> {
  await client.query(
    `SELECT ${ident(apiSchema)}.microsharding_tenant_unpin_(tenant) FROM unnest($1::text[]) AS tenant`,
    [tenants],
  );
}
