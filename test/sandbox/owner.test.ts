import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { waitFor } from "../support/index.ts";

interface Started {
  pids: number[];
  dataDir: string;
}

const OWNER = fileURLToPath(new URL("owner.ts", import.meta.url));

async function startOwner(): Promise<{ owner: ChildProcess; started: Started }> {
  const owner = spawn(process.execPath, ["--import", "tsx", OWNER], { stdio: ["ignore", "pipe", "inherit"] });
  assert.ok(owner.stdout);
  for await (const line of createInterface(owner.stdout))
    return { owner, started: JSON.parse(line) as Started };
  throw new Error("The owner ended without a word.");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  test(`when the owner ends by ${signal}, its servers end and their folders are removed`, async () => {
    const { owner, started } = await startOwner();
    assert.deepEqual(started.pids.map(isAlive), [true, true, true]);
    owner.kill(signal);
    await waitFor(() => !started.pids.some(isAlive), { what: "the servers to end" });
    await waitFor(() => !existsSync(dirname(dirname(started.dataDir))), {
      what: "their folder to be removed",
    });
  });
}
