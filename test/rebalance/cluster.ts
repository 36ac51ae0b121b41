import { install } from "../../src/postgres/api/install.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { schemaOf } from "../cli/run-command.ts";
import { createDatabase, type TestDatabase, type TestServer } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";

/** Islands with the SQL API, as databases that alternate between some servers. */
export interface Cluster {
  databases: TestDatabase[];
  /** Names of the islands, as Shardferry shows them. */
  names: string[];
  /** DSNS of all. */
  env: { DSNS: string };
}

export async function createCluster(servers: readonly TestServer[], count: number): Promise<Cluster> {
  const databases = await Promise.all(
    Array.from({ length: count }, (_, i) => createDatabase(servers[i % servers.length]!)),
  );
  await Promise.all(databases.map((database) => database.withClient((client) => install(client))));
  return {
    databases,
    names: databases.map(({ dsn }) => parseDsn(dsn).name),
    env: { DSNS: databases.map(({ dsn }) => dsn).join(",") },
  };
}

/** Creates active shards, each with the writers' table, and with a few more rows the higher its number. */
export async function createShards(
  database: TestDatabase,
  first: number,
  last: number,
  rows: (shard: number) => number = () => 10,
): Promise<void> {
  const shards = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  await database.withClient(async (client) => {
    await client.query("SELECT microsharding.microsharding_ensure_exist($1, $2)", [first, last]);
    for (const shard of shards) {
      const schema = schemaOf(shard);
      await client.query(`
        ${Ledger.tableSql(schema)};
        CREATE TABLE ${schema}.users (id bigserial PRIMARY KEY, name text NOT NULL);
        INSERT INTO ${schema}.users (name) SELECT repeat('x', 500) FROM generate_series(1, ${rows(shard)})`);
    }
    await client.query("SELECT microsharding.microsharding_ensure_active($1, $2)", [first, last]);
  });
}

/** The active shards of each island, in the order of the islands. */
export async function layoutOf({ databases }: Cluster): Promise<string[][]> {
  return Promise.all(
    databases.map(async (database) => {
      const rows = await database.rows<{ name: string }>(
        "SELECT shard::text AS name FROM unnest(microsharding.microsharding_list_active_shards()) shard ORDER BY 1",
      );
      return rows.map(({ name }) => name);
    }),
  );
}

/** How many active shards each island has. */
export const countsOf = async (cluster: Cluster): Promise<number[]> =>
  (await layoutOf(cluster)).map(({ length }) => length);
