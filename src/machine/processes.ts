import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * When a process started, in whatever unit the system has; null when there is no such process. Together with
 * the pid it names a process for ever, while a pid alone may have been given to another one since.
 */
export function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name, in parentheses, and may hold anything; state and start time follow it.
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

/** A process that can be told from a later one with the same pid. */
export interface ProcessId {
  pid: number;
  start: string;
}

/** The running process of a pid. */
export function processId(pid: number): ProcessId | null {
  const start = startOf(pid);
  return start === null ? null : { pid, start };
}

/** True while exactly this process runs. */
export const isAlive = ({ pid, start }: ProcessId): boolean => startOf(pid) === start;

const POLL_MS = 20;

/** Waits until a process has ended; false when it has not after `timeoutMs`. */
async function waitForEnd(id: ProcessId, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(id)) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}

/** Ends a process: politely, and by force after `graceMs`. */
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
