import { loadSettings } from "../../src/config/settings.ts";
import { type Drift, drift, type DriftRequest } from "../../src/operations/drift.ts";
import { install } from "../../src/postgres/api/install.ts";
import { ident } from "../../src/postgres/quote.ts";
import type { Major } from "../../src/sandbox/index.ts";
import { NEWEST, serverOf, VERSIONS } from "../sql/psql.ts";
import { createDatabase, type TestDatabase } from "../support/index.ts";

export { NEWEST, serverOf, VERSIONS };

/** A database with the SQL API, on a server of this version that the whole test file shares. */
export async function createIsland(version: Major, schemaNameFmt?: string): Promise<TestDatabase> {
  const database = await createDatabase(await serverOf(version));
  await database.withClient((client) =>
    install(client, schemaNameFmt === undefined ? {} : { schemaNameFmt }),
  );
  return database;
}

/** Creates active shards, each filled by SQL that is run with the shard as search_path. */
export async function createShards(
  database: TestDatabase,
  numbers: readonly number[],
  sql: string,
): Promise<void> {
  await database.withClient(async (client) => {
    for (const no of numbers) {
      const { rows } = await client.query<{ name: string }>(
        "SELECT microsharding.microsharding_schema_name_($1) AS name FROM microsharding.microsharding_ensure_exist($1)",
        [no],
      );
      await client.query(`SET search_path TO ${ident(rows[0]!.name)}; ${sql}`);
      await client.query("SELECT microsharding.microsharding_ensure_active($1)", [no]);
    }
  });
}

export async function find(islands: readonly TestDatabase[], request?: DriftRequest): Promise<Drift> {
  const options = { dsns: islands.map(({ dsn }) => dsn).join(",") };
  return drift(await loadSettings({ action: "drift", options, env: {}, skipConfig: true }), request);
}

export const groupsOf = ({ groups }: Drift): string[] => groups.map(({ shards }) => shards.join(" "));

export const shown = ({ groups }: Drift): string =>
  JSON.stringify(
    groups.map(({ shards, differences }) => ({ shards, differences })),
    null,
    1,
  ).slice(0, 4000);
