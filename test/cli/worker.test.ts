import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import { startOf } from "../../src/machine/processes.ts";
import { startTemporal, type TemporalServer } from "../../src/sandbox/index.ts";
import { embeddedWorkers } from "../../src/temporal/state-folder.ts";
import { waitFor } from "../support/index.ts";
import {
  activeShards,
  createIslands,
  type Islands,
  run,
  runJson,
  start,
  stateFolder,
} from "./run-command.ts";

let islands: Islands;
before(async () => {
  islands = await createIslands([1, 2, 3, 4, 5, 6]);
});

const moveArgs = (shard: number): string[] => [
  ...["move", `--shard=${shard}`, `--to=${islands.names.b}`, "--activate-on-destination=yes"],
];

describe("a Temporal server of one's own", () => {
  let temporal: TemporalServer;
  let env: NodeJS.ProcessEnv;
  before(async () => {
    temporal = await startTemporal();
    env = { ...islands.env, TEMPORAL_ADDRESS: temporal.address };
  });

  it("says within seconds that no worker is running, and keeps waiting until a worker is started and does the move", async () => {
    const move = start(moveArgs(1), { env });
    await move.prints(/started move-sh0001/);
    const began = Date.now();
    await move.prints(/no worker polls the task queue.*start `shardferry worker`/);
    assert.ok(Date.now() - began < 15_000, `it took ${Date.now() - began} ms`);
    const worker = start(["worker"], { env });
    await worker.prints(/worker ready: .*namespace default; islands /);
    assert.equal((await move.ended()).status, 0);
    assert.deepEqual(await activeShards(islands.b), ["sh0001"]);
    worker.signal("SIGTERM");
    const { status, stdout } = await worker.ended();
    assert.equal(status, 0, stdout);
  });

  it("does not lose a move when Temporal is killed and comes back", async () => {
    const worker = start(["worker"], { env });
    await worker.prints(/worker ready/);
    const move = start([...moveArgs(2), "--wait"], { env });
    await move.prints(/waiting for confirmation/);
    await temporal.kill();
    await temporal.start();
    await waitFor(async () => (await run(["confirm", "move-sh0002"], { env })).status === 0, {
      what: "confirm",
    });
    const { status, stderr } = await move.ended();
    assert.equal(status, 0, stderr);
    assert.ok((await activeShards(islands.b)).includes("sh0002"));
    worker.signal("SIGTERM");
    await worker.ended();
  });

  it("is named when it cannot be reached", async () => {
    for (const args of [moveArgs(3), ["worker"]]) {
      const { status, stderr } = await run(args, {
        env: { ...islands.env, TEMPORAL_ADDRESS: "127.0.0.1:1" },
      });
      assert.equal(status, 1);
      assert.match(
        stderr,
        /Cannot reach Temporal at 127\.0\.0\.1:1 \(namespace default\): connection refused/,
      );
    }
  });
});

describe("the embedded Temporal server", () => {
  interface State {
    pid: number;
    port: number;
  }
  const state = (): State => JSON.parse(readFileSync(join(stateFolder, "temporal.json"), "utf8")) as State;

  it("is started once by concurrent commands that need it", async () => {
    const copy = ["copy", "--schema=nothing", `--from=${islands.names.a}`, `--to=${islands.names.b}`];
    const outputs = await Promise.all([1, 2, 3, 4].map(() => run(copy, islands)));
    const started = outputs.filter(({ stdout }) => /Temporal is running in the background/.test(stdout));
    assert.equal(started.length, 1);
    for (const { status, stderr } of outputs)
      assert.deepEqual([status, /There is no schema "nothing"/.test(stderr)], [2, true]);
  });

  it("says which folder it needs if that cannot be created", async () => {
    const folder = join(stateFolder, "temporal.json", "inside");
    const { error } = await runJson<{ error: { code: string; message: string } }>(["status"], {
      env: { ...islands.env, SHARDFERRY_STATE_DIR: folder },
    });
    assert.equal(error.code, "state_folder");
    assert.ok(error.message.includes(folder) && error.message.includes("SHARDFERRY_STATE_DIR"));
  });

  it("is restarted with its database and on its port after it was killed", async () => {
    const first = state();
    const paused = start([...moveArgs(3), "--wait"], islands);
    await paused.prints(/waiting for confirmation/);
    process.kill(first.pid, "SIGKILL");
    // The running command itself restarts it.
    await waitFor(() => state().pid !== first.pid, { what: "the server to come back" });
    assert.equal(state().port, first.port);
    await waitFor(async () => (await run(["confirm"], islands)).status === 0, { what: "confirm" });
    assert.equal((await paused.ended()).status, 0);
    assert.ok((await activeShards(islands.b)).includes("sh0003"));
  });

  it("gets no password in its environment", () => {
    const environment = readFileSync(`/proc/${state().pid}/environ`, "utf8");
    assert.ok(!environment.includes(islands.a.server.password));
  });

  it("leaves the work of all commands to a separate worker", async () => {
    const worker = start(["worker"], islands);
    await worker.prints(/worker ready/);
    const { status, stderr } = await run(moveArgs(4), islands);
    assert.equal(status, 0, stderr);
    assert.ok((await activeShards(islands.b)).includes("sh0004"));
    worker.signal("SIGTERM");
    await worker.ended();
  });

  it("leaves the work to the command itself when that worker is killed", async () => {
    const worker = start(["worker"], islands);
    await worker.prints(/worker ready/);
    const move = start([...moveArgs(5), "--wait"], islands);
    await move.prints(/waiting for confirmation/);
    worker.signal("SIGKILL");
    await worker.ended();
    assert.equal((await run(["confirm", "move-sh0005"], { env: {} })).status, 0);
    await move.prints(/this command does the work now/);
    assert.equal((await move.ended()).status, 0);
    assert.ok((await activeShards(islands.b)).includes("sh0005"));
  });

  it("is stopped by down, with its workers", async () => {
    const worker = start(["worker"], islands);
    await worker.prints(/worker ready/);
    const { pid } = state();
    const { stdout, status } = await run(["down"], islands);
    assert.equal(status, 0);
    assert.match(stdout, /Stopped 1 worker and the embedded Temporal server/);
    assert.equal(startOf(pid), null);
    assert.match((await run(["down"], islands)).stdout, /No embedded Temporal server is running/);
  });

  it("is not restarted by a move that down has stopped, which continues with the next command", async () => {
    const stopped = start([...moveArgs(6), "--wait"], islands);
    await stopped.prints(/waiting for confirmation/);
    const { pid } = state();
    const down = await run(["down"], islands);
    assert.equal(down.status, 0);
    assert.match(down.stdout, /Running: move-sh0006\. While the server is stopped, .* keeps WAL/);
    const { stderr } = await stopped.ended();
    assert.match(stderr, /the embedded Temporal server is being stopped/);
    assert.deepEqual([state().pid, startOf(pid)], [pid, null]);
    assert.deepEqual(embeddedWorkers(stateFolder), []);

    const again = start([...moveArgs(6), "--wait"], islands);
    await again.prints(/attached to move-sh0006/);
    await again.prints(/waiting for confirmation/);
    assert.equal((await run(["confirm"], islands)).status, 0);
    assert.equal((await again.ended()).status, 0);
    await run(["down"], islands);
  });

  it("keeps its database readable by its user only", async () => {
    const files = readdirSync(stateFolder).filter((name) => name.startsWith("temporal."));
    assert.ok(files.includes("temporal.db"));
    for (const name of files) assert.equal(statSync(join(stateFolder, name)).mode & 0o077, 0, name);
  });

  it("runs in the foreground with dev, until ^C", async () => {
    const dev = start(["dev"], islands);
    await dev.prints(/Temporal at .*, UI http:/);
    const { pid } = state();
    dev.signal("SIGINT");
    assert.equal((await dev.ended()).status, 0);
    assert.equal(startOf(pid), null);
  });
});
