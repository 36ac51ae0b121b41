import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { ShardferryError } from "../../errors.ts";
import { findPgDump } from "../../machine/pg-programs.ts";
import { ProgramError, runProgram } from "../../machine/run-program.ts";
import { runtimeFolder } from "../../machine/runtime-folder.ts";
import { onIsland } from "../errors/origin.ts";
import { type Dsn, libpqEnv } from "../islands/dsn.ts";
import { VANISHED_CLIENT } from "../islands/session-settings.ts";
import { parseDump, type Statement } from "./dump-statements.ts";

/** The structure of a schema, in the two sections that come before and after its rows. */
export interface SchemaDump {
  preData: Statement[];
  postData: Statement[];
}

/** What has to be known of a server to dump a schema of it. */
export interface DumpedServer {
  serverMajor: number;
  /** True when our role there is a superuser. */
  superuser: boolean;
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
 * @param server pg_dump has to be at least as new as it.
 */
export async function dumpSchema(
  dsn: Dsn,
  schema: string,
  server: DumpedServer,
  signal?: AbortSignal,
): Promise<SchemaDump> {
  const { pgDump, pgRestore } = await findPgDump(server.serverMajor);
  const folder = await mkdtemp(join(await runtimeFolder(), "dump-"));
  try {
    const archive = join(folder, "schema.dump");
    const options = { env: environment(dsn, server), signal };
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
    // Also when a session of another island is in use.
    throw onIsland(dsn.name, new DumpError(dsn.name, schema, error, server));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The environment of the programs. The password is passed in it: arguments are visible to every user of the machine.
 * A program reports no SQLSTATE, so it speaks a known language, and so does the server if the role may set that.
 */
function environment(dsn: Dsn, { superuser }: DumpedServer): NodeJS.ProcessEnv {
  const own = libpqEnv(dsn, process.env);
  // pg_dump holds locks on the application's tables, and turns off every timeout but those of TCP.
  const settings: Record<string, string> = { ...VANISHED_CLIENT };
  if (superuser) settings["lc_messages"] = "C";
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  return { ...own, LC_ALL: "C", PGOPTIONS: [own["PGOPTIONS"], ...flags].filter(Boolean).join(" ") };
}

/** The words of a program that failed for a transient reason: the server is restarting, or did so meanwhile; or a table was locked. */
const TRANSIENT =
  /connection|terminat|shutting down|starting up|recovery mode|statement timeout|lock timeout|deadlock/i;

/** pg_dump or pg_restore failed; the message contains its own words. */
class DumpError extends ShardferryError {
  override readonly retryable: ShardferryError["retryable"];

  constructor(island: string, schema: string, cause: ProgramError, { superuser }: DumpedServer) {
    super("dump_failed", `pg_dump of schema "${schema}" on ${island} failed: ${cause.message.trim()}`, {
      cause,
    });
    // Nobody knows which language the server spoke to an ordinary role.
    this.retryable = TRANSIENT.test(cause.message) || (superuser ? false : "a few times");
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
