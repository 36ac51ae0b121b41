import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { ShardferryError } from "../../errors.ts";
import { findPgDump } from "../../machine/pg-programs.ts";
import { ProgramError, runProgram } from "../../machine/run-program.ts";
import { runtimeFolder } from "../../machine/runtime-folder.ts";
import { type Dsn, libpqEnv } from "../islands/dsn.ts";
import { parseDump, type Statement } from "./dump-statements.ts";

/** The structure of a schema, in the two sections that come before and after its rows. */
export interface SchemaDump {
  preData: Statement[];
  postData: Statement[];
}

/**
 * Milliseconds that pg_dump waits for its locks before it is started again: less than the second after which PostgreSQL
 * looks for deadlocks and may end the application's TRUNCATE.
 */
const LOCK_WAIT_MS = 500;

/**
 * Dumps the structure of a schema with pg_dump. pg_dump reads the catalogs of the whole database (1.0 s
 * for one shard of 100 tables among 25,000), so it runs only once, and pg_restore splits its archive.
 *
 * @param serverMajor major version of the server; pg_dump has to be at least as new.
 */
export async function dumpSchema(
  dsn: Dsn,
  schema: string,
  serverMajor: number,
  signal?: AbortSignal,
): Promise<SchemaDump> {
  const { pgDump, pgRestore } = await findPgDump(serverMajor);
  const folder = await mkdtemp(join(await runtimeFolder(), "dump-"));
  try {
    const archive = join(folder, "schema.dump");
    // The password goes through the environment: arguments are visible to every user of the machine.
    const options = { env: libpqEnv(dsn, process.env), signal };
    const pattern = `"${schema.replaceAll('"', '""')}"`;
    const flags = [
      "--format=custom",
      "--schema-only",
      "--encoding=UTF8",
      "--no-publications",
      "--no-subscriptions",
      "--no-password",
      `--lock-wait-timeout=${LOCK_WAIT_MS}`,
    ];
    await runProgram(pgDump, [...flags, `--schema=${pattern}`, `--file=${archive}`], options);
    const section = async (name: string): Promise<Statement[]> => {
      const file = join(folder, name);
      await runProgram(pgRestore, [`--section=${name}`, `--file=${file}`, archive], options);
      return parseDump(await readFile(file, "utf8"));
    };
    const [preData, postData] = await Promise.all([section("pre-data"), section("post-data")]);
    return { preData, postData };
  } catch (error) {
    if (signal?.aborted || !(error instanceof ProgramError)) throw error;
    throw new DumpError(dsn.name, schema, error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** pg_dump or pg_restore failed; the message contains its own words. */
class DumpError extends ShardferryError {
  override readonly retryable: boolean;

  constructor(island: string, schema: string, cause: ProgramError) {
    super("dump_failed", `pg_dump of schema "${schema}" on ${island} failed: ${cause.message.trim()}`, {
      cause,
    });
    // The server is restarting, or did so while pg_dump was running; or a table was locked.
    this.retryable =
      /connection|terminat|shutting down|starting up|recovery mode|statement timeout|deadlock/i.test(
        cause.message,
      );
  }
}

const cachePath = async (runId: string): Promise<string> =>
  join(await runtimeFolder(), `structure-${runId}.json`);

/**
 * Returns the dump that the same workflow run has made earlier on this machine, if the schema had the same
 * fingerprint then, otherwise a new one. A later step that runs on another worker dumps once more.
 */
export async function cachedDump(
  runId: string,
  fingerprint: string,
  make: () => Promise<SchemaDump>,
): Promise<SchemaDump> {
  const path = await cachePath(runId);
  const cached = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (cached !== undefined) {
    const found = JSON.parse(cached) as { fingerprint: string; dump: SchemaDump };
    if (found.fingerprint === fingerprint) return found.dump;
  }
  const dump = await make();
  // All or nothing, even if two attempts write at once.
  const part = `${path}.${randomUUID()}`;
  await writeFile(part, JSON.stringify({ fingerprint, dump }), { mode: 0o600 });
  await rename(part, path);
  return dump;
}

/** Removes the cached dump of a workflow run. */
export async function dropCachedDump(runId: string): Promise<void> {
  await rm(await cachePath(runId), { force: true });
}
