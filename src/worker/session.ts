import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { launcher } from "../machine/package-folder.ts";
import { type Dsn, toUrl } from "../postgres/islands/dsn.ts";
import { connectClient, existingTarget, resolveTarget, type Temporal } from "../temporal/connection.ts";
import { embeddedWorkers, hasDatabase, isStopping, registerWorker } from "../temporal/state-folder.ts";

/** Called with lines for the operator: what was started, what is missing. */
export type Say = (line: string) => void;

/** A session, or a function that opens one: a faulty request is refused before a server is started for it. */
export type Opening = Session | (() => Promise<Session>);

/** A worker in this process. */
interface Working {
  stop(): Promise<void>;
  failed: Promise<never>;
}

/** Time for a background process to take over the work. */
const HAND_OVER_MS = 10_000;

/** A connection to Temporal and, with the embedded server, the worker that does the work. */
export class Session {
  readonly temporal: Temporal;
  readonly #settings: Settings;
  #working: Promise<Working> | undefined;
  #dsns: readonly Dsn[] = [];
  #unregister: (() => void) | undefined;

  private constructor(temporal: Temporal, settings: Settings) {
    this.temporal = temporal;
    this.#settings = settings;
  }

  /** Connects; starts the embedded server if no address is configured. */
  static async open(settings: Settings, say: Say): Promise<Session> {
    const target = await resolveTarget(settings.env, say);
    return new Session(await connectClient(target, settings.env, say), settings);
  }

  /** Connects for reading only: returns null if there has never been a Temporal server. */
  static async openExisting(settings: Settings, say: Say): Promise<Session | null> {
    return (await Session.mayFind(settings)) ? Session.open(settings, say) : null;
  }

  /** False if there has never been a Temporal server, so nothing can be running. */
  static async mayFind(settings: Settings): Promise<boolean> {
    return hasDatabase(settings.env) || (await existingTarget(settings.env)) !== null;
  }

  /** The databases to work on, as far as this command knows them. */
  get dsns(): readonly Dsn[] {
    return this.#dsns;
  }

  /** True if this process or another one of this user is a worker of the embedded server. */
  get hasEmbeddedWorker(): boolean {
    const folder = this.temporal.target.embedded?.folder;
    return folder !== undefined && embeddedWorkers(folder).length > 0;
  }

  /**
   * With the embedded server, starts a worker in this process, unless there is a lasting worker that knows the islands.
   * With a configured server, the workers are run separately.
   */
  work(dsns: readonly Dsn[]): void {
    this.#dsns = dsns;
    const { embedded } = this.temporal.target;
    if (
      embedded &&
      !knownByLasting(
        embedded.folder,
        dsns.map(({ name }) => name),
      )
    )
      this.#begin(embedded.folder);
  }

  /** Starts a worker if the one that was relied on has gone; returns false otherwise. */
  takeOver(): boolean {
    const { embedded } = this.temporal.target;
    if (!embedded || this.#working || this.#dsns.length === 0 || this.hasEmbeddedWorker) return false;
    this.#begin(embedded.folder);
    return true;
  }

  #begin(folder: string): void {
    if (this.#working) return;
    this.#unregister = registerWorker(
      folder,
      false,
      this.#dsns.map(({ name }) => name),
    );
    this.#working = this.#startWorker(this.#dsns);
    this.#working.catch(() => undefined);
  }

  /** True if this process is a worker. */
  get works(): boolean {
    return this.#working !== undefined;
  }

  /** Resolves when the worker of this process, if any, is ready. */
  async ready(): Promise<void> {
    await this.#working;
  }

  /** Rejects when the worker of this process fails; never resolves. */
  async workerFailure(): Promise<never> {
    if (!this.#working) return new Promise<never>(() => undefined);
    return (await this.#working).failed;
  }

  /**
   * Leaves a workflow to a background process, so that this one can end. Returns false if the workflow does not continue
   * for now, because the embedded server is being stopped.
   */
  async detach(workflowId: string): Promise<boolean> {
    const folder = this.temporal.target.embedded?.folder;
    if (!folder || !this.#working) return true;
    if (isStopping(folder)) return false;
    const log = openSync(join(folder, "background.log"), "a", 0o600);
    const child = spawn(
      process.execPath,
      [...process.execArgv, launcher(), "attach", workflowId, "--skip-config"],
      {
        detached: true,
        stdio: ["ignore", log, log],
        // In the environment, which only this user can read; everybody can read the arguments.
        env: { ...this.#settings.env, DSNS: this.#dsns.map(toUrl).join(","), PGDSNS: "" },
      },
    );
    closeSync(log);
    child.on("error", () => undefined);
    child.unref();
    const deadline = Date.now() + HAND_OVER_MS;
    while (child.exitCode === null && Date.now() < deadline) {
      if (embeddedWorkers(folder).some(({ pid }) => pid === child.pid)) return true;
      await sleep(20);
    }
    return true;
  }

  /** Stops the worker of this process after its running steps, and closes the connection. */
  async close(): Promise<void> {
    const working = await this.#working?.catch(() => undefined);
    await working?.stop();
    this.#unregister?.();
    await this.temporal.close();
  }

  async #startWorker(dsns: readonly Dsn[]): Promise<Working> {
    // @temporalio/worker takes 0.6 s to load, so it is loaded only when needed.
    const { startWorker } = await import("./worker.ts");
    const { connectionOptions, namespace } = this.temporal.target;
    return startWorker({ connectionOptions, namespace, settings: this.#settings, dsns });
  }
}

/** Opens a session, unless it is already open. */
export async function opened(opening: Opening): Promise<Session> {
  return typeof opening === "function" ? opening() : opening;
}

function knownByLasting(folder: string, islands: readonly IslandName[]): boolean {
  return embeddedWorkers(folder).some(
    (worker) => worker.lasting && islands.every((island) => worker.islands.includes(island)),
  );
}
