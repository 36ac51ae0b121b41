import { spawn } from "node:child_process";
import { closeSync, openSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { serverUser } from "../machine/server-user.ts";

/** A supervised server process. */
export interface Supervised {
  readonly pid: number;
  /** False as soon as it has ended. */
  running(): boolean;
  /** Resolves when it has ended, with a few words on how. */
  readonly ended: Promise<string>;
  signal(signal: NodeJS.Signals): void;
}

export interface SuperviseOptions {
  /** Folder of makeServerFolder; the pid file goes there. */
  folder: string;
  log: string;
  /** Run as the servers' user if we are root. */
  unprivileged: boolean;
  env?: Record<string, string>;
}

/** Starts a server that ends with this process; its output goes to the log file. */
export function supervise(command: string, args: string[], options: SuperviseOptions): Supervised {
  const pidFile = join(options.folder, "server.pid");
  const log = openSync(options.log, "a", 0o600);
  const user = options.unprivileged ? serverUser() : null;
  // The pid is on disk before the server runs, so that there is no moment in which nothing would stop it.
  const child = spawn("/bin/sh", ["-c", 'echo $$ >"$0" && exec "$@"', pidFile, command, ...args], {
    stdio: ["ignore", log, log],
    detached: true,
    cwd: options.folder,
    env: serverEnvironment(options.env),
    uid: user?.uid,
    gid: user?.gid,
  });
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      rmSync(pidFile, { force: true });
      resolve(signal ? `ended by ${signal}` : `ended with exit code ${code}`);
    });
  });
  child.unref();
  return {
    pid: child.pid ?? -1,
    running: () => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
    ended,
    signal: (signal) => void child.kill(signal),
  };
}

/** The caller's PG* and TEMPORAL_* variables must not reach a sandbox. */
function serverEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const kept = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), LC_ALL: "C", ...extra };
}

/** Waits until a server has ended; returns false after the time limit. Keeps the event loop alive meanwhile. */
export async function waitForExit(server: Supervised, milliseconds: number): Promise<boolean> {
  const limit = new AbortController();
  const late = sleep(milliseconds, false, { signal: limit.signal }).catch(() => false);
  const ended = await Promise.race([server.ended.then(() => true), late]);
  limit.abort();
  return ended;
}

/** Waits until a condition holds while the server is running; otherwise throws with the end of its log. */
export async function waitUntilReady(
  server: Supervised,
  name: string,
  log: string,
  isReady: () => Promise<boolean>,
  seconds = 60,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await isReady())) {
    const reason = server.running()
      ? Date.now() > deadline && `was not ready after ${seconds} s`
      : await server.ended;
    if (reason) throw new Error(`${name} ${reason}. Its log ends with:\n${await tail(log)}`);
    await sleep(10);
  }
}

async function tail(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-15).join("\n");
}
