import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

import { cacheDir } from "../../src/machine/cache-folder.ts";
import { createDatabase, type TestDatabase, testIslands, waitFor } from "../support/index.ts";

export const LAUNCHER = fileURLToPath(new URL("../../bin/shardferry", import.meta.url));
/** Must not be shown anywhere: tests look for it in all output. */
const STATE = mkdtempSync(join(tmpdir(), "state-"));

/** What a command printed, and how it ended. */
export interface Finished {
  stdout: string;
  stderr: string;
  /** Null if a signal ended it. */
  status: number | null;
  signal: NodeJS.Signals | null;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Width of the terminal, 160 by default. */
  columns?: number;
}

/** The environment of a user who has set nothing, with a state folder of this test file. */
export function userEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited: NodeJS.ProcessEnv = {};
  for (const name of ["PATH", "TMPDIR", "SHARDFERRY_TEST_RUN"]) inherited[name] = process.env[name];
  // The servers that the set-up has fetched may be in the home of the user who runs the tests.
  return { ...inherited, SHARDFERRY_CACHE: cacheDir(), HOME: STATE, SHARDFERRY_STATE_DIR: STATE, ...extra };
}

/** All commands that this test file has started; a failed test must not leave any of them running. */
const commands = new Set<Command>();

/** A running command, as started by a user. */
export class Command {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #ended: Promise<Finished>;
  #over = false;

  constructor(program: string, args: readonly string[], options: RunOptions) {
    this.child = spawn(program, args, {
      env: userEnvironment(options.env),
      cwd: options.cwd ?? STATE,
      stdio: ["pipe", "pipe", "pipe"],
    });
    commands.add(this);
    this.child.stdout!.on("data", (data: Buffer) => (this.stdout += data.toString()));
    this.child.stderr!.on("data", (data: Buffer) => (this.stderr += data.toString()));
    this.child.once("close", () => (this.#over = true));
    this.#ended = once(this.child, "close").then(([status, signal]) => ({
      stdout: this.stdout,
      stderr: this.stderr,
      status: status as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
  }

  /** Waits until it has printed something. */
  async prints(pattern: RegExp): Promise<void> {
    const printed = (): boolean => pattern.test(this.stdout + this.stderr);
    // Its last output arrives before the end of its output, but possibly after the end of its process.
    await waitFor(() => printed() || this.#over, { what: String(pattern) }).catch((cause: unknown) => {
      throw new Error(`It has not printed ${pattern}: ${this.stdout}${this.stderr}`, { cause });
    });
    if (!printed()) throw new Error(`It ended without printing ${pattern}: ${this.stdout}${this.stderr}`);
  }

  /** Waits for its end. */
  ended(): Promise<Finished> {
    return this.#ended;
  }

  /** Presses a key in its terminal. */
  press(key: string): void {
    this.child.stdin!.write(key);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }
}

/** Starts `shardferry …` without a terminal. */
export const start = (args: readonly string[], options: RunOptions = {}): Command =>
  new Command(LAUNCHER, args, options);

/** Runs `shardferry …` to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const command = start(args, options);
  command.child.stdin!.end();
  return command.ended();
}

/** Runs `shardferry … --json` and returns its document. */
export async function runJson<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
  const { stdout, stderr } = await run([...args, "--json"], options);
  try {
    return JSON.parse(stdout) as T;
  } catch (cause) {
    throw new Error(`Not one JSON document: ${stdout}\n${stderr}`, { cause });
  }
}

/** Starts `shardferry …` in a terminal of its own. */
export function startInTerminal(args: readonly string[], options: RunOptions = {}): Command {
  const line = [LAUNCHER, ...args].map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(" ");
  const env = { TERM: "xterm", ...options.env };
  return new Command(
    "script",
    ["-qfec", `stty rows 40 cols ${options.columns ?? 160}; exec ${line}`, "/dev/null"],
    {
      ...options,
      env,
    },
  );
}

/** Two databases with the SQL API, on two servers. */
export interface Islands {
  a: TestDatabase;
  b: TestDatabase;
  /** Names of the islands, as Shardferry shows them. */
  names: { a: string; b: string };
  /** DSNS of both. */
  env: { DSNS: string };
}

/** Creates two islands; shards with one table each are active on the first one. */
export async function createIslands(shards: readonly number[] = []): Promise<Islands> {
  const servers = await testIslands();
  const [a, b] = await Promise.all([createDatabase(servers.a), createDatabase(servers.b)]);
  const nameOf = ({ server, name }: TestDatabase): string => `${server.host}:${server.port}/${name}`;
  const env = { DSNS: `${a.dsn},${b.dsn}` };
  const installed = await run(["install"], { env });
  if (installed.status !== 0) throw new Error(installed.stderr);
  for (const shard of shards) await createShard(a, shard);
  return { a, b, names: { a: nameOf(a), b: nameOf(b) }, env };
}

/** Creates an active shard with a table of 1,000 users. */
export async function createShard(database: TestDatabase, shard: number): Promise<void> {
  await database.withClient(async (client) => {
    await client.query(`SELECT microsharding.microsharding_ensure_exist(${shard})`);
    const schema = schemaOf(shard);
    await client.query(`
      CREATE TABLE ${schema}.users (id bigserial PRIMARY KEY, name text NOT NULL);
      CREATE INDEX ON ${schema}.users (name);
      INSERT INTO ${schema}.users (name) SELECT 'user ' || i FROM generate_series(1, 1000) i;
      SELECT microsharding.microsharding_ensure_active(${shard})`);
  });
}

export const schemaOf = (shard: number): string => `sh${String(shard).padStart(4, "0")}`;

/** Returns the names of the shards that are active in a database. */
export async function activeShards(database: TestDatabase): Promise<string[]> {
  const rows = await database.rows<{ name: string }>(
    "SELECT shard::text AS name FROM unnest(microsharding.microsharding_list_active_shards()) shard ORDER BY 1",
  );
  return rows.map(({ name }) => name);
}

/** Returns the schemas of a database, except system schemas. */
export async function schemas(database: TestDatabase): Promise<string[]> {
  const rows = await database.rows<{ name: string }>(
    "SELECT nspname AS name FROM pg_namespace WHERE nspname ~ '^sh' ORDER BY 1",
  );
  return rows.map(({ name }) => name);
}

/** The state folder of this test file. */
export const stateFolder = STATE;

after(async () => {
  for (const command of commands) command.signal("SIGKILL");
  await Promise.all([...commands].map((command) => command.ended()));
  await run(["down"]);
  rmSync(STATE, { recursive: true, force: true });
});
