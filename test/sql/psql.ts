import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { ident } from "../../src/postgres/quote.ts";
import { type Major, type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { createDatabase, type TestDatabase, type TestServer } from "../support/index.ts";
import { without } from "../support/versions.ts";

const SQL = fileURLToPath(new URL("../../sql/", import.meta.url));
const UP = join(SQL, "pg-microsharding-up.sql");
export const DOWN = join(SQL, "pg-microsharding-down.sql");

/** The newest version on this machine. */
export const NEWEST: Major = without(19) ? 18 : 19;
/** The oldest and the newest version that the SQL API supports. */
export const VERSIONS = [14, NEWEST] as const;
/** Where users install it: in a schema of its own, among everything else, and under a name that needs quotes. */
export const LAYOUTS = ["microsharding", "public", `Odd "lib`];

/** Returns a server of this version, started once for the test file. */
export function serverOf(version: Major): Promise<PostgresServer> {
  let server = servers.get(version);
  if (!server) servers.set(version, (server = startPostgres({ version })));
  return server;
}
const servers = new Map<Major, Promise<PostgresServer>>();

export interface PsqlResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a script in the server's own psql, as a user would; stops at the first error. */
export function psql(database: TestDatabase, script: string, as?: PsqlLogin): Promise<PsqlResult> {
  const { host, port, user, password, bin } = database.server;
  const child = spawn(join(bin, "psql"), ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-"], {
    env: {
      ...process.env,
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: as?.user ?? user,
      PGPASSWORD: as?.password ?? password,
      PGDATABASE: database.name,
      PGOPTIONS: as?.options ?? process.env["PGOPTIONS"],
    },
  });
  const result: PsqlResult = { status: -1, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (result.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (result.stderr += text));
  child.stdin.end(script);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ ...result, status: status ?? -1 }));
  });
}

export interface PsqlLogin {
  user?: string;
  password?: string;
  options?: string;
}

/** Runs a script in psql that has to succeed, and returns what it printed. */
export async function psqlOk(database: TestDatabase, script: string, as?: PsqlLogin): Promise<string> {
  const { status, stdout, stderr } = await psql(database, script, as);
  if (status !== 0) throw new Error(`psql ended with ${status}: ${stderr}`);
  return stdout.trim();
}

/** The script that installs into a schema, which is created if it is missing. */
export const upScript = (schema: string): string => `
  SET client_min_messages TO warning;
  CREATE SCHEMA IF NOT EXISTS ${ident(schema)};
  SET client_min_messages TO notice;
  SET search_path TO ${ident(schema)};
\\i ${UP}
`;

export const downScript = (schema: string): string => `SET search_path TO ${ident(schema)};\n\\i ${DOWN}\n`;

/** Returns a function that creates databases with the SQL API installed by psql. */
export function databasesWithApi(version: Major, schema: string): () => Promise<TestDatabase> {
  let template: Promise<TestDatabase> | undefined;
  return async () => {
    const server = await serverOf(version);
    template ??= createWithApi(server, schema);
    return createDatabase(server, { template: (await template).name });
  };
}

async function createWithApi(server: TestServer, schema: string): Promise<TestDatabase> {
  const database = await createDatabase(server);
  await psqlOk(database, upScript(schema));
  return database;
}

/** The one column of a query's rows. */
export async function column(
  database: TestDatabase,
  sql: string,
  values: unknown[] = [],
): Promise<unknown[]> {
  return (await database.rows(sql, values)).map((row) => Object.values(row)[0]);
}

/** The active shards, as the application sees them. */
export const activeShards = (database: TestDatabase, schema: string): Promise<unknown[]> =>
  column(database, `SELECT unnest(${ident(schema)}.microsharding_list_active_shards())::text`);
