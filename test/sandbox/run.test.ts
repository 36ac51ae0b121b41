import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { temporaryFolder } from "../../src/sandbox/index.ts";
import { waitFor } from "../support/index.ts";
import { listStrays } from "../support/strays.ts";

const RUNNER = fileURLToPath(new URL("../run.ts", import.meta.url));

const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill("SIGTERM");
});

test(
  "the test runner, told to end, first ends what tests have started, and its servers",
  { skip: !existsSync("/proc") && "there is no /proc to look at" },
  async () => {
    const env = { ...process.env };
    // With this variable, node takes this for a run within a run, and runs nothing.
    delete env["NODE_TEST_CONTEXT"];
    const child = spawn(process.execPath, ["--import", "tsx", RUNNER, "test/cli/move.test.ts"], {
      stdio: "ignore",
      env,
    });
    running.add(child);
    const ended = once(child, "exit");
    const begun = (): string[] => listStrays(child.pid).map(({ command }) => command);
    await waitFor(() => begun().some((command) => / server start-dev /.test(command)), {
      what: "a command of a test to start an embedded Temporal server",
      every: 200,
    });
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [143, null]);
    running.delete(child);
    assert.deepEqual(begun(), []);
    const folders = readdirSync(temporaryFolder()).filter((name) => name.includes(`sandbox-${child.pid}-`));
    assert.deepEqual(folders, []);
  },
);
