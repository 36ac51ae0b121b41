import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { messageOf, ShardferryError } from "../errors.ts";
import { withLockFile } from "../machine/lock-file.ts";
import { isServerPort, randomPort } from "../machine/ports.ts";
import { endProcess, isAlive, type ProcessId, processId } from "../machine/processes.ts";
import { DATABASE_OPTIONS, saysPortTaken, temporalBinary } from "./binary.ts";
import {
  databaseFile,
  embeddedWorkers,
  markStopping,
  readJson,
  stateFolder,
  writeJson,
} from "./state-folder.ts";

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
/** A worker finishes or gives up its running steps before it ends. */
const WORKER_STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 10;
/** How many ports are tried before giving up. */
const MOST_PORTS = 100;

/** This user's Temporal development server, which runs in the background. */
export interface EmbeddedServer extends ProcessId {
  folder: string;
  port: number;
  uiPort: number;
}

export const addressOf = ({ port }: EmbeddedServer): string => `${HOST}:${port}`;
export const uiOf = ({ uiPort }: EmbeddedServer): string => `http://${HOST}:${uiPort}`;

const stateFile = (folder: string): string => join(folder, "temporal.json");
const logFile = (folder: string): string => join(folder, "temporal.log");

/** Returns the embedded server if it is running. */
export function runningServer(env: NodeJS.ProcessEnv): EmbeddedServer | null {
  const folder = stateFolder(env);
  const server = readJson<EmbeddedServer>(stateFile(folder));
  return server && isAlive(server) ? { ...server, folder } : null;
}

/**
 * Returns the embedded server, and starts it if it is not running: only once for any number of concurrent callers, with
 * the database file (and if possible the ports) that it had before.
 */
export async function ensureServer(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<EmbeddedServer> {
  const running = runningServer(env);
  if (running && (await accepts(running.port))) return completed(running);
  const folder = stateFolder(env);
  return withLockFile(join(folder, "start.lock"), async () => {
    for (;;) {
      const other = runningServer(env);
      if (!other) break;
      // It is starting or ending; a server that does neither is stuck.
      if (await until(async () => (await accepts(other.port)) || !isAlive(other), START_TIMEOUT_MS)) {
        if (isAlive(other)) return completed(other);
      } else await endProcess(other, STOP_TIMEOUT_MS);
    }
    dropHalfMade(folder, say);
    const server = completed(await start(folder, env, say));
    say(
      `Temporal is running in the background at ${addressOf(server)}; UI ${uiOf(server)} (shardferry down stops it)`,
    );
    return server;
  });
}

/** Exists beside a database file from before the first start of the server until it first responds. */
const halfMadeMark = (folder: string): string => `${databaseFile(folder)}.half-made`;

/**
 * A server that is killed right after its first start leaves a database file with which no server starts again (4 of 6
 * kills within 50 ms). The file cannot contain anything yet, so it is created again.
 */
function dropHalfMade(folder: string, say: (line: string) => void): void {
  const database = databaseFile(folder);
  if (existsSync(halfMadeMark(folder)) && existsSync(database)) {
    for (const file of [database, `${database}-wal`, `${database}-shm`, `${database}-journal`])
      rmSync(file, { force: true });
    say("The database of the embedded Temporal server was never completed; creating it again");
  }
  if (!existsSync(database)) writeFileSync(halfMadeMark(folder), "", { mode: 0o600 });
}

/** A server that responds has a complete database; the first to see that removes the mark, before anything is started. */
function completed(server: EmbeddedServer): EmbeddedServer {
  rmSync(halfMadeMark(server.folder), { force: true });
  return server;
}

/** Stops the workers of the embedded server and the server itself; returns what was stopped. */
export async function stopServer(env: NodeJS.ProcessEnv): Promise<{ workers: number; server: boolean }> {
  const folder = stateFolder(env);
  const done = markStopping(folder);
  try {
    const workers = embeddedWorkers(folder).filter(({ pid }) => pid !== process.pid);
    await Promise.all(workers.map((worker) => endProcess(worker, WORKER_STOP_TIMEOUT_MS)));
    // A playground takes its server and the folder with it when it ends.
    if (!existsSync(folder)) return { workers: workers.length, server: true };
    const server = await withLockFile(join(folder, "start.lock"), async () => {
      const running = runningServer(env);
      if (running) await endProcess(running, STOP_TIMEOUT_MS);
      return running !== null;
    });
    return { workers: workers.length, server };
  } finally {
    done();
  }
}

async function start(
  folder: string,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<EmbeddedServer> {
  const binary = await temporalBinary(join(folder, "bin"), say);
  const before = readJson<EmbeddedServer>(stateFile(folder));
  let ports = before ? [before.port, before.uiPort] : [];
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const [port, uiPort] = await freePorts(ports);
    const logged = logSize(folder);
    const server = launch(binary, folder, port, uiPort, env);
    writeJson(stateFile(folder), server);
    await until(async () => (await accepts(server.port)) || !isAlive(server), deadline - Date.now());
    if (isAlive(server) && (await accepts(server.port))) return server;
    await endProcess(server, 0);
    const log = readFileSync(logFile(folder), "utf8").slice(logged);
    if (!saysPortTaken(log) || Date.now() > deadline) {
      const tail = log.trim().split("\n").slice(-5).join("\n");
      throw new ShardferryError(
        "temporal_start",
        `The embedded Temporal server did not start; its log ${logFile(folder)} ends with:\n${tail}`,
      );
    }
    ports = [];
  }
}

function launch(
  binary: string,
  folder: string,
  port: number,
  uiPort: number,
  env: NodeJS.ProcessEnv,
): EmbeddedServer {
  const log = openSync(logFile(folder), "a", 0o600);
  if (existsSync(databaseFile(folder))) chmodSync(databaseFile(folder), 0o600);
  const args = ["server", "start-dev", "--ip", HOST, "--port", String(port), "--ui-port", String(uiPort)];
  args.push(
    "--db-filename",
    databaseFile(folder),
    ...DATABASE_OPTIONS,
    "--log-level",
    "error",
    "--ui-disable-news-fetch",
  );
  // The database contains the requests of all workflows, so only this user may read it.
  const umask = process.umask(0o077);
  const child = spawn(binary, args, {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: folder,
    env: serverEnvironment(env),
  });
  process.umask(umask);
  closeSync(log);
  child.on("error", () => undefined);
  child.unref();
  const id = child.pid === undefined ? null : processId(child.pid);
  if (!id) throw new ShardferryError("temporal_start", `Cannot run ${binary}`);
  return { ...id, folder, port, uiPort };
}

/** The server outlives this command, so it gets neither database passwords nor Temporal client settings. */
function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => /^(PATH|HOME|TMPDIR|LANG|SHARDFERRY_\w+)$/.test(name)),
  );
}

const logSize = (folder: string): number => statSync(logFile(folder), { throwIfNoEntry: false })?.size ?? 0;

/** True if something listens on a port of this machine. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}

/** Returns two free ports, preferably the wanted ones. Both are held until both are found. */
async function freePorts(wanted: readonly number[]): Promise<[number, number]> {
  const held: Server[] = [];
  try {
    return [await hold(held, wanted[0]), await hold(held, wanted[1])];
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Listens on a port until the server is closed; drops connections meanwhile, which are meant for another server. */
async function hold(held: Server[], wanted = 0): Promise<number> {
  let cause: unknown;
  for (let tries = 0; tries < MOST_PORTS; tries++) {
    const port = tries === 0 && isServerPort(wanted) ? wanted : randomPort();
    const server = createServer((socket) => socket.destroy()).listen(port, HOST);
    try {
      await once(server, "listening");
      held.push(server);
      return port;
    } catch (error) {
      cause = error;
    }
  }
  const text = `The embedded Temporal server did not start: no port of ${HOST} is free (${messageOf(cause)})`;
  throw new ShardferryError("temporal_start", text, { cause });
}

async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
