import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { isAlive, type ProcessId, processId } from "./processes.ts";

const POLL_MS = 25;

/** Runs `use` while no other process of this machine holds the lock; a lock whose holder died is taken over. */
export async function withLockFile<T>(path: string, use: () => Promise<T>): Promise<T> {
  while (!acquire(path)) {
    removeStale(path);
    await sleep(POLL_MS);
  }
  try {
    return await use();
  } finally {
    rmSync(path, { force: true });
  }
}

function acquire(path: string): boolean {
  // Written elsewhere and then linked, so that the lock appears with its content or not at all.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(processId(process.pid)), { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function holder(path: string): ProcessId | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessId;
  } catch {
    return null;
  }
}

/** Two processes may see the same dead holder; the second must not remove the lock that the first has just taken. */
function removeStale(path: string): void {
  const seen = holder(path);
  if (!seen || isAlive(seen)) return;
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  const taken = holder(aside);
  try {
    if (taken && isAlive(taken)) linkSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
}
