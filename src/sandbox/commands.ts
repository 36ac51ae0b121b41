import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { launcher } from "../machine/package-folder.ts";
import { makeServerFolder } from "./folders.ts";

/** Where commands work, regardless of the caller's own settings. */
export interface Place {
  dsns: readonly string[];
  temporalAddress: string;
}

/** Settings of the caller that must not reach the demo's commands; paths of programs may. */
const SETTINGS =
  /^(PG(?!_BIN$)|TEMPORAL_|SHARDFERRY_(?!CACHE$)|DSNS$|MIGRATE_CMD$|WEIGHT_SQL$|DEACTIVATE_SQL$|PARALLELISM$|MAX_REPLICATION_LAG_SEC$|SCHEMA_NAME_FMT$)/;

/** A `shardferry …` in a process of its own. It ends with this process, however this one ends. */
export class Command {
  private constructor(
    readonly child: ChildProcess,
    private readonly pidFile: string,
  ) {}

  /** Starts a command as a user would, with a minimum of settings. */
  static async start(args: readonly string[], place: Place, stdio: StdioOptions): Promise<Command> {
    const folder = await makeServerFolder("command");
    // The path in the sandbox's folder shows the watcher that the process is one of ours.
    const script = join(folder, "shardferry");
    symlinkSync(launcher(), script);
    const child = spawn(process.execPath, [script, ...args, "--skip-config"], {
      stdio,
      env: environment(place, folder),
    });
    const pidFile = join(folder, "server.pid");
    if (child.pid !== undefined) writeFileSync(pidFile, String(child.pid));
    const command = new Command(child, pidFile);
    child.once("exit", () => rmSync(pidFile, { force: true }));
    return command;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get running(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits for its end; returns its exit status, or null after a signal. */
  async ended(): Promise<number | null> {
    if (this.running) await once(this.child, "exit");
    return this.child.exitCode;
  }

  /** Ends it with a signal and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.running) this.child.kill(signal);
    await this.ended();
  }
}

/** Starts a worker; resolves when it is ready. */
export async function startWorker(place: Place): Promise<Command> {
  const worker = await Command.start(["worker"], place, ["ignore", "pipe", "pipe"]);
  let output = "";
  const ready = new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4000);
      if (output.includes("worker ready")) resolve();
    };
    worker.child.stdout!.on("data", read);
    worker.child.stderr!.on("data", read);
    worker.child.once("exit", () => reject(new Error(`The worker ended: ${output}`)));
    worker.child.once("error", reject);
  });
  await ready;
  return worker;
}

function environment(place: Place, folder: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !SETTINGS.test(name));
  return {
    ...Object.fromEntries(kept),
    // In the environment, which only this user can read; everybody can read the arguments.
    DSNS: place.dsns.join(","),
    TEMPORAL_ADDRESS: place.temporalAddress,
    TEMPORAL_NAMESPACE: "default",
    // The user's own file could add another server's keys to the address; a missing file adds nothing.
    TEMPORAL_CONFIG_FILE: join(folder, "none.toml"),
  };
}
