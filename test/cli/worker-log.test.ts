import assert from "node:assert/strict";
import { hostname } from "node:os";
import { before, describe, it } from "node:test";

import { packageVersion } from "../../src/machine/package-folder.ts";
import { startTemporal, type TemporalServer } from "../../src/sandbox/index.ts";
import type { StepEvent } from "../../src/worker/step-log.ts";
import { waitFor } from "../support/index.ts";
import { type Command, createIslands, type Islands, run, runJson, start } from "./run-command.ts";

let islands: Islands;
let temporal: TemporalServer;
let env: NodeJS.ProcessEnv;
before(async () => {
  [islands, temporal] = await Promise.all([createIslands([1, 2, 3]), startTemporal()]);
  env = { ...islands.env, TEMPORAL_ADDRESS: temporal.address };
});

const moveArgs = (shard: number): string[] => [
  ...["move", `--shard=${shard}`, `--to=${islands.names.b}`, "--activate-on-destination=yes"],
];

/** The log of a worker with `--log=json`: every line is a document. */
const entries = ({ stdout }: Command): (StepEvent & { time: string; level: string })[] =>
  stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as StepEvent & { time: string; level: string });

const stepsOf = (worker: Command, event: StepEvent["event"], workflowId: string): StepEvent[] =>
  entries(worker).filter((entry) => entry.event === event && entry.workflowId === workflowId);

async function healthOf(worker: Command): Promise<[number, string]> {
  const [url] = /http:\S+\/healthz/.exec(worker.stdout.replaceAll('"', " ")) ?? [];
  const response = await fetch(url!);
  return [response.status, ((await response.json()) as { status: string }).status];
}

describe("a worker", () => {
  it("logs each step of a move as it begins, fails and ends, as JSON, without a password", async () => {
    // It knows only one of the islands, so its first steps fail, and another worker has to take over.
    const half = start(["worker", "--log=json"], { env: { ...env, DSNS: islands.a.dsn } });
    await half.prints(/worker ready/);
    const move = start(moveArgs(1), { env });
    await half.prints(/step failed/);
    const [failed] = stepsOf(half, "step failed", "move-sh0001");
    assert.deepEqual(
      [failed!.step, failed!.schema, failed!.attempt, failed!.code, failed!.retried],
      ["preflight", "sh0001", 1, "unknown_island", true],
    );
    assert.deepEqual(failed!.islands, [islands.names.a, islands.names.b]);
    half.signal("SIGTERM");
    await half.ended();

    const worker = start(["worker", "--log=json"], { env });
    assert.equal((await move.ended()).status, 0);
    await waitFor(() => stepsOf(worker, "step ends", "move-sh0001").some(({ step }) => step === "clean up"), {
      what: "the last line",
    });
    // What watches the WAL runs beside the steps, and may begin with any of them.
    const own = ({ step }: { step: string }): boolean => step !== "watch WAL";
    const began = stepsOf(worker, "step begins", "move-sh0001").filter(own);
    const ended = stepsOf(worker, "step ends", "move-sh0001").filter(own);
    assert.deepEqual(
      ended.map(({ step }) => step),
      began.map(({ step }) => step),
    );
    assert.equal(began[0]!.step, "preflight");
    assert.ok(began[0]!.attempt > 1);
    assert.ok(ended.some(({ step }) => step === "lock and switch"));
    assert.ok(ended.every(({ durationMs }) => typeof durationMs === "number"));
    for (const { server } of [islands.a, islands.b])
      assert.ok(!(half.stdout + worker.stdout).includes(server.password));
    worker.signal("SIGTERM");
    await worker.ended();
  });

  it("logs the same as text by default, and tells Temporal what it is", async () => {
    const worker = start(["worker"], { env });
    await worker.prints(/worker ready/);
    assert.equal((await run(moveArgs(2), { env })).status, 0);
    await worker.prints(/Z move-sh0002: clean up ends after \d+.* \(sh0002: \S+ → \S+\)\n/);
    assert.match(worker.stdout, /Z move-sh0002: preflight begins \(sh0002: /);
    const found = await runJson<{ temporal: { workers: string[] } }>(["doctor"], { env });
    const identity = `${hostname()}/${worker.child.pid} shardferry ${packageVersion()}`;
    assert.ok(JSON.stringify(found).includes(identity), JSON.stringify(found));
    worker.signal("SIGTERM");
    await worker.ended();
  });

  it("serves a health check: 200 while it polls, 503 without Temporal and while it drains", async () => {
    const worker = start(["worker", "--health=127.0.0.1:0"], { env });
    await worker.prints(/health at http:/);
    assert.deepEqual(await healthOf(worker), [200, "polling"]);
    await temporal.kill();
    assert.deepEqual(await healthOf(worker), [503, "disconnected"]);
    await temporal.start();
    await waitFor(async () => (await healthOf(worker))[0] === 200, { what: "the connection to come back" });

    // The slot of the move waits for this transaction, so the step is running while the worker drains.
    await islands.a.withClient(async (client) => {
      await client.query("BEGIN; CREATE TABLE public.held (); SELECT pg_current_xact_id()");
      const move = start(moveArgs(3), { env });
      await worker.prints(/move-sh0003: (subscribe|tablesync) begins/);
      worker.signal("SIGTERM");
      await worker.prints(/worker stops/);
      assert.deepEqual(await healthOf(worker), [503, "draining"]);
      await client.query("ROLLBACK");
      const { status, stdout } = await worker.ended();
      assert.equal(status, 0, stdout);
      move.signal("SIGKILL");
    });
  });

  it("refuses an address that is taken, and one that is none", async () => {
    const taken = await runJson<{ error: { code: string } }>(["worker", `--health=${temporal.address}`], {
      env,
    });
    assert.equal(taken.error.code, "health_address");
    const { status, stderr } = await run(["worker", "--health=here"], { env });
    assert.deepEqual([status, /not an address such as 127\.0\.0\.1:8080/.test(stderr)], [2, true]);
  });
});
