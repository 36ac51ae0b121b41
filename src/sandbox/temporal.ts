import { execFile } from "node:child_process";
import { symlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { ShardferryError } from "../errors.ts";
import { randomPort } from "../machine/ports.ts";
import { DATABASE_OPTIONS, findTemporal, saysPortTaken } from "../temporal/binary.ts";
import { makeServerFolder } from "./folders.ts";
import { supervise, type Supervised, waitForExit, waitUntilReady } from "./supervise.ts";

const run = promisify(execFile);

export interface TemporalOptions {
  /** The database file, kept after the end; by default a temporary one. */
  dbFile?: string;
  port?: number;
  /** Port of the web UI; without it there is no UI unless `headless` is false. */
  uiPort?: number;
  headless?: boolean;
  /** Additional arguments of `temporal server start-dev`. */
  args?: string[];
}

/** A Temporal development server on 127.0.0.1 that ends with this process. */
export class TemporalServer {
  readonly host = "127.0.0.1";
  readonly namespace = "default";
  readonly dbFile: string;
  readonly logFile: string;
  port = 0;
  readonly #folder: string;
  readonly #binary: string;
  readonly #options: TemporalOptions;
  #uiPort: number | undefined;
  #process: Supervised | undefined;

  constructor(folder: string, binary: string, options: TemporalOptions) {
    this.#folder = folder;
    this.#options = options;
    this.logFile = join(folder, "log");
    this.dbFile = options.dbFile ?? join(folder, "temporal.db");
    // The path in the sandbox's folder shows the watcher that this process is one of ours.
    this.#binary = join(folder, "temporal");
    symlinkSync(binary, this.#binary);
  }

  /** `127.0.0.1:port`, for TEMPORAL_ADDRESS. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** The address of the web UI; null if there is none. */
  get uiAddress(): string | null {
    return this.#uiPort === undefined ? null : `http://${this.host}:${this.#uiPort}`;
  }

  pid(): number {
    if (!this.#process?.running()) throw new Error("Temporal is not running.");
    return this.#process.pid;
  }

  running(): boolean {
    return this.#process?.running() ?? false;
  }

  /** Starts the server on its previous ports, if any, and waits until it is serving. */
  async start(): Promise<void> {
    if (this.running()) return;
    const givenPort = this.port || this.#options.port;
    const givenUiPort = this.#uiPort ?? this.#options.uiPort;
    const hasUi = this.#options.headless === false || givenUiPort !== undefined;
    const deadline = Date.now() + 30_000;
    for (;;) {
      this.port = givenPort ?? randomPort();
      if (hasUi) this.#uiPort = givenUiPort ?? randomPort();
      const logged = (await this.log()).length;
      try {
        return await this.#startOnce();
      } catch (error) {
        await this.stop();
        if (!saysPortTaken((await this.log()).slice(logged)) || Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  async #startOnce(): Promise<void> {
    const ui = this.#uiPort === undefined ? ["--headless"] : ["--ui-port", String(this.#uiPort)];
    const args = ["server", "start-dev", "--ip", this.host, "--port", String(this.port), ...ui];
    const server = supervise(
      this.#binary,
      [
        ...args,
        "--db-filename",
        this.dbFile,
        ...DATABASE_OPTIONS,
        "--log-level",
        "warn",
        ...(this.#options.args ?? []),
      ],
      { folder: this.#folder, log: this.logFile, unprivileged: false },
    );
    this.#process = server;
    await waitUntilReady(server, "Temporal", this.logFile, () => this.#isServing());
  }

  async #isServing(): Promise<boolean> {
    const health = ["operator", "cluster", "health", "--address", this.address];
    return run(this.#binary, health, { env: {} }).then(
      ({ stdout }) => stdout.includes("SERVING"),
      () => false,
    );
  }

  /** Returns the server's log so far. */
  async log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }

  async stop(): Promise<void> {
    const server = this.#process;
    if (!server?.running()) return;
    server.signal("SIGINT");
    server.signal("SIGCONT");
    if (!(await waitForExit(server, 15_000))) await this.kill();
  }

  /** Kills the server with SIGKILL. */
  async kill(): Promise<void> {
    const server = this.#process;
    server?.signal("SIGKILL");
    if (server) await waitForExit(server, 10_000);
  }

  /** Restarts the server on the same ports, with the same database file. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }
}

/** Starts a Temporal development server on free ports of 127.0.0.1. */
export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const binary = await findTemporal();
  if (!binary) {
    throw new ShardferryError(
      "temporal_missing",
      "No Temporal CLI on this machine. In a checkout, `npm run setup` fetches it; otherwise install `temporal` on PATH.",
    );
  }
  const server = new TemporalServer(await makeServerFolder("temporal"), binary, options);
  await server.start();
  return server;
}
