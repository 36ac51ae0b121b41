import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "pg";

import { randomPort } from "../machine/ports.ts";
import { isReachable, serverUser } from "../machine/server-user.ts";
import type { Major } from "../postgres/server.ts";
import { createDataFolder } from "./data-folder.ts";
import { findPostgres, type PostgresBinaries } from "./find.ts";
import { giveToServers, makeServerFolder } from "./folders.ts";
import { supervise, type Supervised, waitForExit, waitUntilReady } from "./supervise.ts";

export type StopMode = "smart" | "fast" | "immediate";
export type Settings = Record<string, string>;

export interface PostgresOptions {
  /** Major version; the newest on this machine by default. */
  version?: Major;
  /** Added to the defaults of the sandbox. */
  settings?: Settings;
  /** Makes commits survive a crash of the machine (fsync, full_page_writes); slower, for benchmarks. */
  durable?: boolean;
  /** A folder that is kept after the end, and reused if it already contains a server. */
  keepIn?: string;
  auth?: "scram" | "trust";
  /** Of the user `postgres` of a new server; random by default. */
  password?: string;
  /** Shown as cluster_name, and as application_name of a replica. */
  name?: string;
}

/** Generous limits, so that tests hit only the limits that they set themselves. */
const DEFAULTS: Settings = {
  wal_level: "logical",
  max_connections: "200",
  max_wal_senders: "40",
  max_replication_slots: "40",
  max_worker_processes: "60",
  max_logical_replication_workers: "40",
  max_sync_workers_per_subscription: "10",
  max_prepared_transactions: "20",
  shared_buffers: "64MB",
  wal_keep_size: "128MB",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "%m [%p] %q%a %d ",
  unix_socket_directories: "",
};

const FAST: Settings = { fsync: "off", full_page_writes: "off" };
const SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
const CONF = "sandbox.conf";

/** The parts of a server. */
export interface ServerParts {
  binaries: PostgresBinaries;
  name: string;
  /** In the sandbox of this process: pid file, log and, unless it is kept, the data. */
  folder: string;
  dataDir: string;
  password: string;
  auth: "scram" | "trust";
  settings: Settings;
}

/** A PostgreSQL server on 127.0.0.1 that ends with this process. */
export class PostgresServer {
  readonly host = "127.0.0.1";
  readonly user = "postgres";
  readonly version: Major;
  readonly name: string;
  readonly dataDir: string;
  /** The folder of pg_dump, psql and the other programs of the server's own version. */
  readonly bin: string;
  readonly logFile: string;
  readonly password: string;
  readonly auth: "scram" | "trust";
  /** Includes the defaults. */
  settings: Settings;
  port = 0;
  readonly #parts: ServerParts;
  #process: Supervised | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.version = parts.binaries.major;
    this.name = parts.name;
    this.dataDir = parts.dataDir;
    this.bin = parts.binaries.bin;
    this.logFile = join(parts.folder, "log");
    this.password = parts.password;
    this.auth = parts.auth;
    this.settings = parts.settings;
  }

  /** `postgresql://postgres:…@127.0.0.1:port/database`. */
  dsn(database = "postgres"): string {
    const secret = this.auth === "trust" ? "" : `:${this.password}`;
    return `postgresql://${this.user}${secret}@${this.host}:${this.port}/${encodeURIComponent(database)}`;
  }

  /** The process id of the postmaster. */
  pid(): number {
    if (!this.#process?.running()) throw new Error(`${this.name} is not running.`);
    return this.#process.pid;
  }

  running(): boolean {
    return this.#process?.running() ?? false;
  }

  /** Starts the server on its previous port, if any, and waits until it accepts connections. */
  async start(): Promise<void> {
    if (this.running()) return;
    const givenPort = this.port;
    const deadline = Date.now() + 30_000;
    for (;;) {
      this.port = givenPort || randomPort();
      const logged = (await this.log()).length;
      try {
        return await this.#startOnce();
      } catch (error) {
        await this.stop("immediate");
        const log = (await this.log()).slice(logged);
        // After kill -9, the backends hold the shared memory until they notice that the postmaster is gone.
        const passing = /could not bind|Address already in use|still in use|pre-existing shared memory/.test(
          log,
        );
        if (!passing || Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  async #startOnce(): Promise<void> {
    this.#writeSettings();
    // The path in the sandbox's folder shows the watcher that this process is one of ours.
    const link = join(this.#parts.folder, "data");
    if (!existsSync(link)) symlinkSync(this.dataDir, link);
    const server = supervise(join(this.bin, "postgres"), ["-D", link], {
      folder: this.#parts.folder,
      log: this.logFile,
      unprivileged: true,
      env: ownLibraries(this.bin),
    });
    this.#process = server;
    await waitUntilReady(server, `PostgreSQL ${this.version} (${this.name})`, this.logFile, async () => {
      const file = await readFile(join(this.dataDir, "postmaster.pid"), "utf8").catch(() => "");
      const lines = file.split("\n");
      return Number(lines[0]) === server.pid && /^(ready|standby)\s*$/.test(lines[7] ?? "");
    });
  }

  /** Stops the server; `fast` turns into `immediate` if something delays it for 30 s. */
  async stop(mode: StopMode = "fast"): Promise<void> {
    const server = this.#process;
    if (!server?.running()) return;
    server.signal(SIGNALS[mode]);
    server.signal("SIGCONT");
    if (await waitForExit(server, 30_000)) return;
    server.signal("SIGQUIT");
    if (await waitForExit(server, 10_000)) return;
    await this.kill();
  }

  /** Kills the postmaster with SIGKILL, as the kernel does when it runs out of memory. */
  async kill(): Promise<void> {
    const server = this.#process;
    server?.signal("SIGKILL");
    if (server) await waitForExit(server, 10_000);
  }

  async restart(mode: StopMode = "fast"): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  /** Changes settings and waits until the server has read them; some take effect only after a restart. */
  async reload(settings: Settings): Promise<void> {
    this.settings = { ...this.settings, ...settings };
    this.#writeSettings();
    await this.withClient(async (client) => {
      const loaded = async (): Promise<string> =>
        (await client.query<{ at: string }>("SELECT pg_conf_load_time()::text AS at")).rows[0]?.at ?? "";
      const before = await loaded();
      process.kill(this.pid(), "SIGHUP");
      const deadline = Date.now() + 10_000;
      while ((await loaded()) === before) {
        if (Date.now() > deadline)
          throw new Error(`${this.name} did not accept the settings; see ${this.logFile}`);
        await sleep(5);
      }
    });
  }

  /** Returns the server's log so far. */
  async log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }

  /** Stops the server and removes its data, unless it is kept. */
  async remove(): Promise<void> {
    await this.stop("immediate");
    rmSync(this.#parts.folder, { recursive: true, force: true });
  }

  /** Runs a function with a connection of a superuser. */
  async withClient<T>(work: (client: Client) => Promise<T>, database?: string): Promise<T> {
    const client = new Client({ connectionString: this.dsn(database) });
    // The stop of the server must not end this process because of an idle connection.
    client.on("error", () => {});
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  #writeSettings(): void {
    const settings = { ...this.settings, listen_addresses: this.host, port: String(this.port) };
    const lines = Object.entries({ ...settings, cluster_name: this.name }).map(
      ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
    );
    writeFileSync(join(this.dataDir, CONF), lines.join(""), { mode: 0o644 });
    const method = this.auth === "trust" ? "trust" : "scram-sha-256";
    const access = ["all", "replication"].map((what) => `host ${what} all 127.0.0.1/32 ${method}\n`);
    writeFileSync(join(this.dataDir, "pg_hba.conf"), access.join(""));
  }
}

/**
 * The modules of the downloaded servers do not find their own libpq: without this they load that of the system, which may
 * be older, and then no replica or subscription can connect.
 */
function ownLibraries(bin: string): Record<string, string> {
  const apiSchema = join(bin, "..", "lib");
  return existsSync(join(apiSchema, "libpq.so.5")) ? { LD_LIBRARY_PATH: apiSchema } : {};
}

let count = 0;

/** Starts a separate PostgreSQL server on a free port of 127.0.0.1, with `wal_level = logical` and a random password. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const binaries = await findPostgres(options.version);
  const name = options.name ?? `pg${binaries.major}-${++count}`;
  const folder = await makeServerFolder(name);
  const home = options.keepIn ? resolve(options.keepIn) : folder;
  const dataDir = join(home, "data");
  const passwordFile = join(home, "password");
  const isNew = !existsSync(passwordFile);
  const server = new PostgresServer({
    binaries,
    name,
    folder,
    dataDir,
    auth: options.auth ?? "scram",
    password: isNew
      ? await createData(binaries, home, dataDir, options.password)
      : readFileSync(passwordFile, "utf8"),
    settings: defaultSettings(binaries.major, options),
  });
  await server.start();
  // Written last, as a sign that the set-up is complete.
  if (isNew) writeFileSync(passwordFile, server.password, { mode: 0o600 });
  return server;
}

/** Returns the sandbox's settings for a version, with those of the caller. */
function defaultSettings(major: Major, { settings, durable }: PostgresOptions): Settings {
  const origins: Settings = major >= 18 ? { max_active_replication_origins: "40" } : {};
  return { ...DEFAULTS, ...origins, ...(durable ? {} : FAST), ...settings };
}

async function createData(
  binaries: PostgresBinaries,
  home: string,
  dataDir: string,
  given?: string,
): Promise<string> {
  mkdirSync(home, { recursive: true });
  giveToServers(home);
  if (!isReachable(home)) {
    throw new Error(
      `The user ${serverUser()?.name} cannot enter ${home}, so PostgreSQL cannot keep its data there.`,
    );
  }
  rmSync(dataDir, { recursive: true, force: true });
  const password = await createDataFolder(binaries, dataDir, given);
  writeFileSync(join(dataDir, "postgresql.conf"), `\ninclude = '${CONF}'\n`, { flag: "a" });
  return password;
}
