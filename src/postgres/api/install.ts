import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import { messageOf, ShardferryError, UsageError } from "../../errors.ts";
import { advisoryLockHolder } from "../blockers.ts";
import { ident, literal } from "../quote.ts";
import { installedFunctions, ownFunctions } from "./functions.ts";
import { readSqlFiles, type SqlFile } from "./sql-files.ts";

/** The schema for the SQL API on an island that does not have it yet. */
export const DEFAULT_API_SCHEMA = "microsharding";

const SCHEMA_NAME_FMT = /^(?:[^%]|%%)*%(?:0[1-9])?d(?:[^%]|%%)*$/;

export interface InstallOptions {
  /** How shards are named, as in `sh%04d`. Default: as the installed functions do, otherwise `sh%04d`. */
  schemaNameFmt?: string;
  /** Where to install. Default: where it is already installed, otherwise the schema `microsharding`. */
  libSchema?: string;
}

export interface InstallResult {
  libSchema: string;
  /** False if this same version was installed before, or none. */
  upgraded: boolean;
  activeShards: number;
}

/**
 * Installs or upgrades the SQL API of one island, in one transaction; active shards stay active. Another installation
 * is waited for, and `tell` is told which.
 */
export async function install(
  client: ClientBase,
  options: InstallOptions = {},
  tell: (waitingFor: string) => void = () => undefined,
): Promise<InstallResult> {
  const { schemaNameFmt = "" } = options;
  if (schemaNameFmt !== "" && !SCHEMA_NAME_FMT.test(schemaNameFmt)) {
    throw new UsageError(
      `The schema name format "${schemaNameFmt}" must have exactly one %d or %0Nd, as in sh%04d.`,
    );
  }
  const files = await readSqlFiles("pg-microsharding-up.sql");

  await client.query("BEGIN");
  try {
    // Two first installations at once would both create the schema.
    await lockInstallation(client, "0", tell);
    const existing = options.libSchema ?? (await findApiSchema(client));
    const apiSchema = existing ?? DEFAULT_API_SCHEMA;
    // That of an installation by psql, which waits for it in silence.
    await lockInstallation(client, `hashtext(${literal(ident(apiSchema))})`, tell);
    const upgraded =
      (await installedFunctions(client, apiSchema)).size > 0 && !(await isCurrent(client, apiSchema));
    await ensureSchema(client, apiSchema);
    await client.query(
      `SELECT set_config('search_path', $1, true),
              set_config('client_min_messages', 'warning', true),
              set_config('microsharding.schema_name_fmt', $2, true)`,
      [ident(apiSchema), schemaNameFmt],
    );
    for (const file of files) await runFile(client, file);
    if (schemaNameFmt !== "") await requireNamed(client, apiSchema, schemaNameFmt);
    const { rows } = await client.query<{ count: number }>(
      `SELECT cardinality(${ident(apiSchema)}.microsharding_list_active_shards()) AS count`,
    );
    await client.query("COMMIT");
    return { libSchema: apiSchema, upgraded, activeShards: rows[0]!.count };
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {}); // A lost connection has rolled back; the first error says more.
    throw error;
  }
}

/** Milliseconds between two tries to get the lock. */
const TRY_EVERY_MS = 200;

/** The first of the two keys of the advisory lock that installations take. */
const INSTALL_KEY = "hashtext('microsharding install')";

/** Takes an advisory lock for the open transaction; while it waits, it reports each holder once. */
async function lockInstallation(
  client: ClientBase,
  key: string,
  tell: (waitingFor: string) => void,
): Promise<void> {
  let told: string | null = null;
  for (;;) {
    const { rows } = await client.query<{ granted: boolean }>(
      `SELECT pg_try_advisory_xact_lock(${INSTALL_KEY}, ${key}) AS granted`,
    );
    if (rows[0]!.granted) return;
    const holder = await advisoryLockHolder(client, [INSTALL_KEY, key]);
    if (holder && holder.transaction !== told) tell(holder.text);
    told = holder?.transaction ?? told;
    await sleep(TRY_EVERY_MS);
  }
}

/** Finds the schema in which the SQL API, ours or pg-microsharding's, is installed; null if it is in none. */
export async function findApiSchema(client: ClientBase): Promise<string | null> {
  // Of several installations, always the same one is chosen: "microsharding", then "public", then by name.
  const { rows } = await client.query<{ schema: string }>(
    `SELECT n.nspname AS schema
     FROM pg_proc p
     JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE p.proname = 'microsharding_list_active_shards' AND p.pronargs = 0
     ORDER BY n.nspname <> $1, n.nspname <> 'public', n.nspname
     LIMIT 1`,
    [DEFAULT_API_SCHEMA],
  );
  return rows[0]?.schema ?? null;
}

/**
 * Returns whether the SQL API in this schema is exactly that of this version: every function exists with the body that its
 * file has. That is not the case if pg-microsharding's own files were run over it.
 */
export async function isCurrent(client: ClientBase, apiSchema: string): Promise<boolean> {
  const [own, installed] = await Promise.all([ownFunctions(), installedFunctions(client, apiSchema)]);
  return own.every(({ name, bodyHash }) => {
    const hashes = installed.get(name);
    return hashes?.length === 1 && (bodyHash === null || hashes[0] === bodyHash);
  });
}

/** Refuses a format that gives an active shard a different name: nobody would find that shard any more. */
async function requireNamed(client: ClientBase, apiSchema: string, schemaNameFmt: string): Promise<void> {
  const { rows } = await client.query<{ schema: string }>(
    String.raw`
     SELECT nspname AS schema
     FROM unnest(${ident(apiSchema)}.microsharding_list_active_shards()) AS active(oid) JOIN pg_namespace USING (oid)
     WHERE NOT EXISTS (
       SELECT FROM generate_series(1, length(nspname)) AS start, generate_series(1, 9) AS digits
       WHERE CASE WHEN substr(nspname, start, digits) ~ '^\d+$'
         THEN ${ident(apiSchema)}.microsharding_schema_name_(substr(nspname, start, digits)::integer) = nspname END
     )
     ORDER BY nspname LIMIT 3`,
  );
  if (rows.length > 0) {
    throw new UsageError(
      `The schema name format "${schemaNameFmt}" does not fit shards that are active: ${rows.map(({ schema }) => schema).join(", ")}. ` +
        "Leave it out to keep their format.",
    );
  }
}

async function ensureSchema(client: ClientBase, schema: string): Promise<void> {
  const { rowCount } = await client.query("SELECT FROM pg_namespace WHERE nspname = $1", [schema]);
  if (rowCount === 1) return;
  try {
    await client.query(`CREATE SCHEMA ${ident(schema)}`);
    // An application asks for the active shards under its own role; the tables' grants decide who may change them.
    await client.query(`GRANT USAGE ON SCHEMA ${ident(schema)} TO PUBLIC`);
  } catch (error) {
    throw new ShardferryError(
      "install",
      `Cannot create the schema ${schema} for the SQL API: ${messageOf(error)}. Connect as the owner of the ` +
        "database, or create the schema beforehand and grant CREATE on it.",
      { cause: error },
    );
  }
}

async function runFile(client: ClientBase, file: SqlFile): Promise<void> {
  try {
    await client.query(file.sql);
  } catch (error) {
    throw new ShardferryError("install", `Cannot install the SQL API (${file.name}): ${messageOf(error)}`, {
      cause: error,
    });
  }
}
