import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

import type { IslandName } from "../../contract/names.ts";
import { messageOf, ShardferryError } from "../errors.ts";
import { isAlive, type ProcessId, processId } from "../machine/processes.ts";

/** Returns the folder with the embedded Temporal server's database, log and process ids. */
export function stateFolder(env: NodeJS.ProcessEnv): string {
  const usual = env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state");
  const folder = resolve(env["SHARDFERRY_STATE_DIR"] || join(usual, "shardferry"));
  try {
    mkdirSync(join(folder, "workers"), { recursive: true, mode: 0o700 });
  } catch (cause) {
    const text = `Cannot create the state folder ${folder}: ${messageOf(cause)}. Set SHARDFERRY_STATE_DIR to a writable folder, or TEMPORAL_ADDRESS to a Temporal server`;
    throw new ShardferryError("state_folder", text, { cause });
  }
  return folder;
}

/** The database file of the embedded server, with every workflow that it has ever run. */
export const databaseFile = (folder: string): string => join(folder, "temporal.db");

/** True if the embedded server has ever run. */
export const hasDatabase = (env: NodeJS.ProcessEnv): boolean => existsSync(databaseFile(stateFolder(env)));

/** Reads a JSON file; returns null if it is missing or damaged. */
export function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    return null;
  }
}

/** Writes a JSON file atomically, so that no reader ever sees half of it. */
export function writeJson(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(value), { mode: 0o600 });
  renameSync(draft, path);
}

const stoppingFile = (folder: string): string => join(folder, "stopping.json");

/** Records that this process is stopping the embedded server, so that none starts it; the returned function ends that. */
export function markStopping(folder: string): () => void {
  writeJson(stoppingFile(folder), processId(process.pid)!);
  return () => rmSync(stoppingFile(folder), { force: true });
}

/** True while a process is stopping the embedded server. */
export function isStopping(folder: string): boolean {
  const process = readJson<ProcessId>(stoppingFile(folder));
  return process !== null && isAlive(process);
}

/** A worker process of the embedded server. */
export interface EmbeddedWorker extends ProcessId {
  /** True if it runs until it is stopped; otherwise it ends with its command. */
  lasting: boolean;
  islands: IslandName[];
}

/** Registers this process as a worker; the returned function unregisters it. */
export function registerWorker(folder: string, lasting: boolean, islands: IslandName[]): () => void {
  const file = join(folder, "workers", `${process.pid}.json`);
  writeJson(file, { ...processId(process.pid)!, lasting, islands } satisfies EmbeddedWorker);
  return () => rmSync(file, { force: true });
}

/** Lists the running workers of the embedded server, and removes dead ones from the list. */
export function embeddedWorkers(folder: string): EmbeddedWorker[] {
  const files = readdirSync(join(folder, "workers")).filter((name) => name.endsWith(".json"));
  return files.flatMap((name) => {
    const path = join(folder, "workers", name);
    const worker = readJson<EmbeddedWorker>(path);
    if (worker && isAlive(worker)) return [worker];
    rmSync(path, { force: true });
    return [];
  });
}
