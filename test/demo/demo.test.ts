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

const PRETEND_TERMINAL = new URL("../../scripts/pretend-terminal.mjs", import.meta.url).href;
/** For the demo and the commands that it runs. */
const TERMINAL = { NODE_OPTIONS: `--import=${PRETEND_TERMINAL}`, COLUMNS: "120", LINES: "40" };
const BIN = fileURLToPath(new URL("../../bin/shardferry", import.meta.url));

/** A demo with its own folder for everything that it leaves, which also identifies its processes. */
class DemoRun {
  readonly folder = mkdtempSync(join(temporaryFolder(), "demo-test-"));
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output = "";
  progress = "";

  constructor({ terminal } = { terminal: false }) {
    chmodSync(this.folder, 0o755);
    after(() => rmSync(this.folder, { recursive: true, force: true }));
    const env = {
      ...process.env,
      TMPDIR: this.folder,
      SHARDFERRY_DEMO_SCALE: "0.05",
      DSNS: "nowhere:1/none",
    };
    this.child = spawn(process.execPath, [BIN, "demo", "--json"], {
      stdio: [terminal ? "pipe" : "ignore", "pipe", "pipe"],
      env: terminal ? { ...env, ...TERMINAL } : env,
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

test("in a terminal, the demo shows the kill between two live views, and attaches to the move again", async () => {
  const run = new DemoRun({ terminal: true });
  await waitFor(() => run.progress.includes("press Enter") || run.child.exitCode !== null, {
    what: "the demo to come to its end",
    timeout: 120_000,
  });
  run.child.stdin!.end("\n");
  assert.equal(await run.ended, 0, run.progress);
  assert.deepEqual(run.leftovers(), []);
  const { crash, lost } = JSON.parse(run.output) as DemoResult;
  assert.equal(lost, 0);
  const shown = run.progress;
  const moments = [
    "$ shardferry move",
    "tablesync",
    `kill -9 ${crash!.killed}`,
    "have arrived",
    `process ${crash!.next} has taken over`,
    "$ shardferry attach move-sh0001",
    "lock and switch",
    "acknowledged writes compared",
  ];
  const places = moments.map((moment, i) =>
    shown.indexOf(moment, i === 0 ? 0 : shown.indexOf(moments[i - 1]!)),
  );
  assert.ok(!places.includes(-1), `${places.join()}: ${shown}`);
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
