import type { Settings } from "../config/settings.ts";
import { messageOf, RefusedError, ShardferryError, UsageError } from "../errors.ts";
import { readLayout, type ShardInfo } from "../layout/read.ts";
import { askShards, parseQuantity, show } from "../layout/weights.ts";
import { findShard } from "../layout/where.ts";
import { requireSqlApi, type SqlApi } from "../postgres/api/sql-api.ts";
import { assignTenant, ensureTenantsTable, tenantsTable, unpinTenantsOn } from "../postgres/api/tenants.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { problemsOf, refuseNameless } from "../tenants/problems.ts";
import type { Tenant } from "../tenants/tenant.ts";
import { onIslands } from "./with-islands.ts";

/** Tenants are missing from the lookup table. */
export class UnknownTenantError extends ShardferryError {
  constructor(tenants: readonly string[]) {
    super("unknown_tenant", `No such tenant: ${tenants.join(", ")}.`);
  }
}

/** The global shard, which has the lookup table. */
interface Global {
  readonly island: ConnectedIsland;
  readonly api: SqlApi;
  readonly schema: string;
}

async function findGlobal(islands: readonly ConnectedIsland[]): Promise<Global> {
  const { schema, active } = await findShard(islands, 0);
  const island = active[0];
  if (!island) {
    const text =
      `The lookup table of tenants is in the global shard, and ${schema} is active on no island: ` +
      "`shardferry allocate --shard=0 --activate=yes` creates it.";
    throw new ShardferryError("no_global_shard", text);
  }
  return { island, schema, api: await requireSqlApi(island.client, island.name) };
}

/**
 * Assigns each tenant to the lightest shard that is not pinned (by the weights of `list`) or, among equals, to the one
 * with the fewest tenants. Known tenants stay where they are. With `shard`, all are assigned to that one. If one of them
 * cannot be assigned, none is.
 */
export async function assignTenants(
  settings: Settings,
  { tenants, shard, pin = false }: { tenants: readonly string[]; shard?: number | undefined; pin?: boolean },
): Promise<Tenant[]> {
  refuseNameless(tenants);
  return onIslands(settings, async (islands) => {
    const global = await findGlobal(islands);
    const { islands: places } = await readLayout(islands, { weightSql: settings.weightSql });
    const shards = places.flatMap((place) => place.shards).filter(({ no }) => no > 0);
    if (shard !== undefined && !shards.some(({ no }) => no === shard)) {
      throw new UsageError(`There is no active shard ${shard} to assign tenants to.`);
    }
    const numbers = shard === undefined ? shards.map(({ no }) => no) : [shard];
    const wanted = { tenants, shard, candidates: numbers, pin };
    const problems = problemsOf(await readTenants(global, islands), wanted);
    if (problems.length > 0) throw new RefusedError(problems);
    await ensureTenantsTable(global.island.client, global.api.schema);
    for (const tenant of tenants) {
      const candidates = shard === undefined ? await byWeight(global, shards) : [shard];
      await assignOne(global, tenant, candidates, pin);
    }
    return readTenants(global, islands, tenants);
  });
}

/** Sorts the shards: the lightest first or, among equals, the one with the fewest tenants. */
async function byWeight(global: Global, shards: readonly ShardInfo[]): Promise<number[]> {
  const { rows } = await global.island.client.query<{ shard: number; count: number }>(
    `SELECT shard, count(*)::int AS count FROM ${tenantsTable(global.schema)} GROUP BY 1`,
  );
  const counts = new Map(rows.map(({ shard, count }) => [shard, count]));
  return [...shards]
    .sort((a, b) => a.weight - b.weight || (counts.get(a.no) ?? 0) - (counts.get(b.no) ?? 0) || a.no - b.no)
    .map(({ no }) => no);
}

async function assignOne(
  { island, api }: Global,
  tenant: string,
  candidates: readonly number[],
  pin: boolean,
): Promise<void> {
  try {
    await assignTenant(island.client, api.schema, tenant, candidates, pin);
  } catch (cause) {
    throw new ShardferryError(
      "tenant",
      `Cannot assign tenant ${tenant} on ${island.name}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Opens the shards of pinned tenants to others again; the tenants stay there. Changes nothing if one is unknown. */
export async function unpinTenants(settings: Settings, tenants: readonly string[]): Promise<Tenant[]> {
  refuseNameless(tenants);
  return onIslands(settings, async (islands) => {
    const global = await findGlobal(islands);
    const found = await readTenants(global, islands, tenants);
    const unknown = tenants.filter((name) => !found.some(({ tenant }) => tenant === name));
    if (unknown.length > 0) throw new UnknownTenantError(unknown);
    await unpinTenantsOn(global.island.client, global.api.schema, tenants);
    return found.map((one) => ({ ...one, pinned: false }));
  });
}

/**
 * Lists all tenants or the given ones, by name or, with `sizeSql`, largest first. That query is run once in each shard
 * that has tenants, with the shard as search path; its rows are names of tenants and their sizes.
 */
export async function listTenants(
  settings: Settings,
  { tenants, sizeSql }: { tenants?: readonly string[] | undefined; sizeSql?: string | undefined } = {},
): Promise<Tenant[]> {
  return onIslands(settings, async (islands) => {
    const found = await readTenants(await findGlobal(islands), islands, tenants);
    return sizeSql === undefined ? found : withSizes(found, islands, sizeSql);
  });
}

async function withSizes(
  tenants: readonly Tenant[],
  islands: readonly ConnectedIsland[],
  sql: string,
): Promise<Tenant[]> {
  const sizes = new Map<string, Required<Pick<Tenant, "size" | "unit">>>();
  await Promise.all(
    islands.map(async ({ name, client }) => {
      const own = tenants.filter(({ island }) => island === name);
      const schemas = [...new Set(own.map(({ schema }) => schema!))];
      for (const [schema, { rows }] of await askShards(client, schemas, {
        sql,
        option: "--size-sql",
        code: "size_sql",
      })) {
        for (const [tenant, size] of rows as unknown[][]) {
          const { weight, unit } = parseQuantity(size) ?? { weight: 0, unit: "" };
          sizes.set(JSON.stringify([schema, show(tenant)]), { size: weight, unit });
        }
      }
    }),
  );
  return tenants
    .map((one) => {
      const { size, unit } = sizes.get(JSON.stringify([one.schema, one.tenant])) ?? { size: 0, unit: "" };
      return { ...one, size, unit };
    })
    .sort((a, b) => b.size - a.size);
}

async function readTenants(
  { island, schema }: Global,
  islands: readonly ConnectedIsland[],
  names?: readonly string[],
): Promise<Tenant[]> {
  const table = tenantsTable(schema);
  const there = await island.client.query("SELECT FROM pg_class WHERE oid = to_regclass($1)", [table]);
  if (there.rowCount === 0) return [];
  const { rows } = await island.client.query<Pick<Tenant, "tenant" | "shard" | "pinned">>(
    `SELECT tenant, shard, pinned FROM ${table} WHERE $1::text[] IS NULL OR tenant = ANY ($1) ORDER BY tenant`,
    [names ?? null],
  );
  const { islands: layout } = await readLayout(islands);
  const places = new Map(
    layout.flatMap((place) =>
      place.shards.map((one) => [one.no, { island: place.island, schema: one.schema }] as const),
    ),
  );
  return rows.map((row) => {
    const place = places.get(row.shard);
    return { ...row, island: place?.island ?? null, schema: place?.schema ?? null };
  });
}
