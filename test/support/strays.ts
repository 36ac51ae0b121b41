import { readdirSync, readFileSync } from "node:fs";

import { waitFor } from "./wait.ts";

/** An environment variable that every process started by tests inherits from the runner. */
export const RUN_VARIABLE = "SHARDFERRY_TEST_RUN";

/** Ends the processes that tests have left running, and returns their command lines; works only with /proc. */
export async function endStrays(): Promise<string[]> {
  const left = listStrays();
  // A process that is about to end may start another one.
  const allEnded = (): boolean => {
    const now = listStrays();
    for (const { pid } of now) end(pid);
    return now.length === 0;
  };
  await waitFor(allEnded, { what: "left-over processes to end" });
  return left.map(({ pid, command }) => `${pid} ${command}`);
}

/** Lists the processes that the tests of a run have started. */
export function listStrays(run = process.pid): { pid: number; command: string }[] {
  const mark = `${RUN_VARIABLE}=${run}`;
  return readIfThere(() => readdirSync("/proc"), [])
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) =>
      readIfThere(() => readFileSync(`/proc/${pid}/environ`, "utf8"), "")
        .split("\0")
        .includes(mark),
    )
    .map((pid) => ({ pid: Number(pid), command: commandOf(pid) }));
}

const commandOf = (pid: string): string =>
  readIfThere(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"), "")
    .replaceAll("\0", " ")
    .trim();

/** Processes may end while we read them, and we may not read those of other users. */
function readIfThere<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
