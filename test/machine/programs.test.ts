import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { isRetryable } from "../../activities/attempt/failures.ts";
import { packageFolder } from "../../src/machine/package-folder.ts";
import { ProgramError, runProgram } from "../../src/machine/run-program.ts";
import { waitFor } from "../support/wait.ts";

const env = process.env;

describe("programs of a worker, run by a process of their own", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "shardferry-programs-"));
  after(() => rmSync(folder, { recursive: true }));
  /** Writes its own process's id and its parent's, then sleeps. */
  const sleeper = (name: string): { args: string[]; ids: () => Promise<[own: number, parent: number]> } => {
    const file = join(folder, name);
    const read = (): string => readFileSync(file, "utf8");
    writeFileSync(file, "");
    return {
      args: ["-c", `echo $$ $PPID > '${file}'; exec sleep 60`],
      ids: async () => {
        await waitFor(() => read().endsWith("\n"), { what: "the program to start" });
        return read().trim().split(" ").map(Number) as [number, number];
      },
    };
  };

  it("get their arguments unchanged, and their environment", async () => {
    const file = join(folder, "out");
    const args = ["-c", 'printf "%s|" "$SECRET" "$@" > "$0"', file, "a b", 'c"d', "$e", ""];
    await runProgram("sh", args, { env: { ...env, SECRET: "s" } });
    assert.equal(readFileSync(file, "utf8"), 's|a b|c"d|$e||');
  });

  it("fail with their output, or with the reason why they could not be started", async () => {
    const failing = runProgram("sh", ["-c", "echo because >&2; exit 3"], { env });
    await assert.rejects(
      failing,
      (error: Error) => error instanceof ProgramError && error.message === "because\n",
    );
    await assert.rejects(runProgram(join(folder, "none"), [], { env }), /ENOENT/);
  });

  it("end when they are aborted, while others of the same process do not", async () => {
    const [aborted, other] = [sleeper("aborted"), sleeper("other")];
    const [stop, stopOther] = [new AbortController(), new AbortController()];
    const runs = [
      runProgram("sh", aborted.args, { env, signal: stop.signal }),
      runProgram("sh", other.args, { env, signal: stopOther.signal }),
    ];
    const [[pid, parent], [otherPid, otherParent]] = [await aborted.ids(), await other.ids()];
    assert.equal(parent, otherParent);
    stop.abort();
    await assert.rejects(runs[0]!, ProgramError);
    assert.deepEqual([isAlive(pid), isAlive(otherPid)], [false, true]);
    stopOther.abort();
    await assert.rejects(runs[1]!, ProgramError);
  });

  it("can be tried again when that process is killed, and find another one", async () => {
    const { args, ids } = sleeper("orphan");
    const run = runProgram("sh", args, { env });
    run.catch(() => undefined);
    const [pid, parent] = await ids();
    process.kill(parent, "SIGKILL");
    await assert.rejects(run, (error) => isRetryable(error));
    process.kill(pid, "SIGKILL");
    await runProgram("true", [], { env });
  });

  it("do not outlive a worker that is killed", async () => {
    const { args, ids } = sleeper("killed");
    const child = startUser(`await runProgram("sh", ${JSON.stringify(args)}, { env: process.env })`);
    const [pid, parent] = await ids();
    child.kill("SIGKILL");
    await waitFor(() => !isAlive(pid) && !isAlive(parent), { what: "the end of both" });
  });

  it("do not prevent a process from ending when they are done", async () => {
    const child = startUser(`await runProgram("true", [], { env: process.env })`);
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });
});

/** Runs code that uses programs, in a process of its own. */
function startUser(code: string): ChildProcess {
  const module = pathToFileURL(join(packageFolder(), "src/machine/run-program.ts")).href;
  const script = `import { runProgram } from ${JSON.stringify(module)}; ${code}`;
  return spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}

/** A zombie counts as ended: its parent is the system, which may take a while to see it. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.startsWith("Z");
}
