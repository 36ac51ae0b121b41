import { loadSettings, type Settings } from "../src/config/settings.ts";
import { install } from "../src/postgres/api/install.ts";
import { ident } from "../src/postgres/quote.ts";
import { createShards, schemaOf, type Stage } from "./stage.ts";

/** Number of the first shard of a cluster. */
export const FIRST = 1000;

/** Four islands with nothing but shards; here they are databases of one server. */
export interface Cluster {
  databases: readonly string[];
  dsns: readonly string[];
  perIsland: number;
  settings: Settings;
  drop(): Promise<void>;
}

const DATABASES = Array.from({ length: 4 }, (_, i) => `cluster_${i}`);

/** Creates a cluster of 10,000 shards, times the scale; `fill` returns the SQL that creates the contents of one. */
export async function createCluster({ a, scale }: Stage, fill: (schema: string) => string): Promise<Cluster> {
  const perIsland = Math.round((10_000 * scale) / DATABASES.length);
  const [first, ...copies] = DATABASES as [string, ...string[]];
  await a.withClient((client) => client.query(`CREATE DATABASE ${ident(first)}`));
  await a.withClient((client) => install(client), first);
  await createShards(a, FIRST, FIRST + perIsland - 1, fill, first);
  for (const [i, copy] of copies.entries()) {
    await a.withClient((client) => client.query(`CREATE DATABASE ${ident(copy)} TEMPLATE ${ident(first)}`));
    await a.withClient((client) => client.query(renumber(perIsland, (i + 1) * perIsland)), copy);
  }
  const dsns = DATABASES.map((name) => a.dsn(name));
  const options = { dsns: dsns.join(",") };
  return {
    databases: DATABASES,
    dsns,
    perIsland,
    settings: await loadSettings({ action: "list", options, env: {}, skipConfig: true }),
    drop: async () => {
      for (const name of DATABASES)
        await a.withClient((client) => client.query(`DROP DATABASE ${ident(name)} WITH (FORCE)`));
    },
  };
}

/** Returns the SQL that gives the shards of a copy their own numbers. */
function renumber(count: number, by: number): string {
  const renames = Array.from({ length: count }, (_, i) => FIRST + i).map(
    (shard) => `ALTER SCHEMA ${schemaOf(shard)} RENAME TO ${schemaOf(shard + by)};`,
  );
  const [first, last] = [FIRST + by, FIRST + by + count - 1];
  return `${renames.join("\n")} SELECT microsharding.microsharding_ensure_active(${first}, ${last})`;
}
