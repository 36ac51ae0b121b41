import { readFile } from "node:fs/promises";

import type { Client } from "pg";

import { ident, literal } from "../../src/postgres/quote.ts";
import type { TestDatabase } from "./database.ts";

/** One file for each kind of object; a file may build on those before it. */
const FILES = [
  "types",
  "sequences",
  "tables",
  "constraints",
  "indexes",
  "partitions",
  "views",
  "functions",
  "triggers",
  "names",
  "security",
];

/** Files with objects that PostgreSQL has only since a certain version. */
const SINCE = [15, 17, 18];

const sqlOf = (name: string): Promise<string> =>
  readFile(new URL(`zoo/${name}.sql`, import.meta.url), "utf8");

export interface ZooOptions {
  schema?: string;
  /** The number of the shard; null if the schema is not a shard. */
  shard?: number | null;
  /** The oldest version that has to support the schema; by default, that of the older of the two servers. */
  major?: number;
}

/** Settings that an operator may have made for a whole database, and which must not affect the rows or the move. */
const SETTINGS = [
  {
    datestyle: "SQL, DMY",
    intervalstyle: "sql_standard",
    extra_float_digits: "-5",
    bytea_output: "escape",
    timezone: "Asia/Kathmandu",
    search_path: "public",
    default_transaction_isolation: "serializable",
    statement_timeout: "1s",
    lock_timeout: "1ms",
    idle_in_transaction_session_timeout: "1s",
  },
  {
    datestyle: "German",
    intervalstyle: "iso_8601",
    timezone: "America/St_Johns",
    search_path: "pg_catalog",
    default_transaction_read_only: "off",
    statement_timeout: "1s",
    lock_timeout: "2s",
    session_replication_role: "origin",
    check_function_bodies: "on",
  },
];

/** Default privileges of the destination, which must not affect the objects of the move. */
const DEFAULT_PRIVILEGES = `
  ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO zoo_reader, PUBLIC;
  ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM CURRENT_USER;
  ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO zoo_reader WITH GRANT OPTION;
  ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
  ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
  ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO PUBLIC`;

/** Creates a shard with every kind of object, active in the first database, and the outside objects it needs in both. */
export async function createZoo(
  from: TestDatabase,
  to: TestDatabase,
  {
    schema = "sh0042",
    shard = 42,
    major = Math.min(from.server.version, to.server.version),
  }: ZooOptions = {},
): Promise<void> {
  await prepareForZoo(from, SETTINGS[0]);
  await prepareForZoo(to, SETTINGS[1]);
  await to.rows(DEFAULT_PRIVILEGES);
  await makeZoo(from, schema, major);
  if (shard !== null) await from.rows("SELECT microsharding.microsharding_ensure_active($1)", [shard]);
}

/** Creates what the zoo needs outside of its schema: roles, extensions, another schema. */
export async function prepareForZoo(
  database: TestDatabase,
  settings: Record<string, string> = {},
): Promise<void> {
  await database.withClient(async (client) => {
    for (const name of ["roles", "outside"]) await client.query(await sqlOf(name));
    for (const [setting, value] of Object.entries(settings)) {
      await client.query(`ALTER DATABASE ${ident(database.name)} SET ${setting} = ${literal(value)}`);
    }
  });
}

/** Creates the schema with everything that a version of PostgreSQL supports. */
export async function makeZoo(database: TestDatabase, schema: string, major: number): Promise<void> {
  await database.withClient(async (client) => {
    await client.query(`CREATE SCHEMA ${ident(schema)}`);
    await client.query(
      `SET search_path = ${ident(schema)}, public; SET statement_timeout = 0; SET datestyle = ISO`,
    );
    const since = SINCE.filter((version) => version <= major).map((version) => `since-${version}`);
    for (const name of [...FILES, ...since]) await runFile(client, name, schema);
    await client.query(`COMMENT ON SCHEMA ${ident(schema)} IS 'somebody''s "own" text [weight factor 2.5]'`);
  });
}

async function runFile(client: Client, name: string, schema: string): Promise<void> {
  const sql = (await sqlOf(name))
    .replaceAll(":schema_literal", () => literal(ident(schema)))
    .replaceAll(":schema", () => ident(schema));
  await client.query(sql).catch((error: Error & { position?: string }) => {
    const at = Number(error.position ?? 0);
    throw new Error(`zoo/${name}.sql: ${error.message} near ${sql.slice(at - 20, at + 80)}`, {
      cause: error,
    });
  });
}
