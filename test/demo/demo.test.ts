import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import type { DemoResult } from "../../src/demo/report.ts";
import { temporaryFolder } from "../../src/sandbox/index.ts";
import { waitFor } from "../support/index.ts";

const BIN = fileURLToPath(new URL("../../bin/shardferry", import.meta.url));

/** A demo with its own folder for everything that it leaves, which also identifies its processes. */
class DemoRun {
  readonly folder = mkdtempSync(join(temporaryFolder(), "demo-test-"));
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output = "";
  progress = "";

  constructor() {
    chmodSync(this.folder, 0o755);
    after(() => rmSync(this.folder, { recursive: true, force: true }));
    this.child = spawn(process.execPath, [BIN, "demo", "--json"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: this.folder, SHARDFERRY_DEMO_SCALE: "0.05", DSNS: "nowhere:1/none" },
    });
    this.child.stdout!.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.child.stderr!.on("data", (chunk: Buffer) => (this.progress += chunk.toString()));
    this.ended = once(this.child, "close").then(([status]) => status as number | null);
  }

  /** Returns what is left: processes that name the folder, and files of servers. */
  leftovers(): string[] {
    const processes = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => commandOf(pid))
      .filter((command) => command.includes(this.folder));
    return [...processes, ...readdirSync(this.folder).filter((name) => name.includes("sandbox"))];
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

test("the demo moves a shard under load despite the death of its worker, loses nothing, and leaves nothing", async () => {
  const run = new DemoRun();
  const status = await run.ended;
  assert.deepEqual(run.leftovers(), []);
  assert.equal(status, 0, run.progress);
  const result = JSON.parse(run.output) as DemoResult;
  const { lost, doubled, stray, failures, activeOn, move, crash } = result;
  assert.deepEqual({ lost, doubled, stray, failures }, { lost: 0, doubled: 0, stray: 0, failures: [] });
  assert.ok(result.acknowledged > 500, `only ${result.acknowledged} writes`);
  assert.deepEqual(activeOn, [move.to]);
  assert.ok(move.rows > 40_000, `only ${move.rows} rows`);
  assert.ok(crash && crash.killed !== crash.next);
  assert.match(run.progress, /kill -9 \d+/);
  assert.match(run.progress, /longest time without an acknowledged write +\d+ ms/);
  assert.match(run.progress, /of these lost +0\n/);
});

for (const [signal, moment] of [
  ["SIGINT", "started move-sh0001"],
  ["SIGTERM", "is filled with a web shop"],
] as const) {
  test(`the demo ends at ${signal} after "${moment}" with status 130, and leaves nothing`, async () => {
    const run = new DemoRun();
    await waitFor(() => run.progress.includes(moment), {
      what: `the demo to say "${moment}"`,
    });
    run.child.kill(signal);
    assert.equal(await run.ended, 130, run.progress);
    assert.deepEqual(run.leftovers(), []);
  });
}
