import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Returns when a process started, in the system's unit; null if there is no such process. Together with the pid, this
 * identifies a process for good, whereas a pid alone may have been reused.
 */
export function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses, which may contain anything; state and start time follow it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  } catch (error) {
    if (process.platform === "linux") return null;
    void error;
  }
  try {
    return execFileSync("ps", ["-p", String(pid), "-o", "lstart="], { encoding: "utf8" }).trim() || null;
  } catch {
    return null;
  }
}

/** Identifies a process, as opposed to a later one with the same pid. */
export interface ProcessId {
  pid: number;
  start: string;
}

/** Returns the running process with a pid. */
export function processId(pid: number): ProcessId | null {
  const start = startOf(pid);
  return start === null ? null : { pid, start };
}

/** True while this very process is running. */
export const isAlive = ({ pid, start }: ProcessId): boolean => startOf(pid) === start;

const POLL_MS = 20;

/** Waits until a process has ended; returns false if it has not after `timeoutMs`. */
async function waitForEnd(id: ProcessId, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(id)) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}

/** Ends a process with SIGTERM, and with SIGKILL after `graceMs`. */
export async function endProcess(id: ProcessId, graceMs: number): Promise<void> {
  if (!isAlive(id)) return;
  signal(id, "SIGTERM");
  if (await waitForEnd(id, graceMs)) return;
  signal(id, "SIGKILL");
  await waitForEnd(id, 5000);
}

function signal(id: ProcessId, name: NodeJS.Signals): void {
  try {
    if (isAlive(id)) process.kill(id.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
