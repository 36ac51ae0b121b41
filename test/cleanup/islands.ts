import { loadSettings, type Settings } from "../../src/config/settings.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import type { TestDatabase } from "../support/index.ts";

/** Settings in which only these databases are set. */
export const settingsOf = (
  databases: readonly TestDatabase[],
  env: NodeJS.ProcessEnv = {},
): Promise<Settings> =>
  loadSettings({
    action: "cleanup",
    env: { ...env, DSNS: databases.map(({ dsn }) => dsn).join(",") },
    skipConfig: true,
  });

export const islandOf = ({ dsn }: TestDatabase): string => parseDsn(dsn).name;

/** The names of the schemas of a database, without those of the system and the SQL API. */
export async function schemasOf(database: TestDatabase): Promise<string[]> {
  const rows = await database.rows<{ name: string }>(
    `SELECT nspname AS name FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'microsharding', 'public') ORDER BY nspname COLLATE "C"`,
  );
  return rows.map(({ name }) => name);
}
