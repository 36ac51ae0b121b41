import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";

import { TASK_QUEUE, verifyWorkflowId } from "../../contract/names.ts";
import type { Progress } from "../../contract/story.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { examineIsland } from "../../src/preflight/island.ts";
import { confirmSignal, progressQuery } from "../../workflows/signals.ts";
import { behind, Proxy, type TestDatabase, testIslands, waitFor } from "../support/index.ts";
import { createShard, createWorld, reportsOf, resultOf, untilPaused, type World } from "../support/world.ts";

const TABLE = `CREATE TABLE sh0042.users (id bigint PRIMARY KEY, name text);
  INSERT INTO sh0042.users SELECT i, 'secret' || i FROM generate_series(1, 100) i`;

interface Row {
  run_id: string;
  kind: string;
  outcome: string;
  reason_code: string | null;
  reason: string | null;
  blocked_attempts: string | null;
}

/** What an island remembers of a run. */
async function rowsOf(database: TestDatabase, handle: WorkflowHandle): Promise<Row[]> {
  const { runId } = await handle.describe();
  return database.rows<Row>("SELECT * FROM microsharding.microsharding_history_ WHERE run_id = $1", [runId]);
}

/** The line that both islands have of a run: the same, and once. */
async function lineOf({ a, b }: World, handle: WorkflowHandle): Promise<Row> {
  const [here, there] = await Promise.all([a, b].map((one) => rowsOf(one, handle)));
  assert.equal(here!.length, 1);
  assert.deepEqual(here, there);
  return here![0]!;
}

/** Lines of the log of a workflow about its history. */
async function complaints(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.query<Progress>(progressQuery);
  return events.map(({ text }) => text).filter((text) => text.includes("history"));
}

describe("the history of the islands", { timeout: 300_000 }, () => {
  let world: World;
  before(async () => {
    world = await createWorld({ forFile: true });
    await createShard(world.a, 42, TABLE);
    await world.startWorker();
  });

  it("has a move that was aborted, and what had been done by then", async () => {
    const handle = await world.startMove({ wait: true, startedBy: "ann@laptop" });
    await untilPaused(handle);
    await handle.cancel();
    await assert.rejects(resultOf(handle));
    const { outcome, reason, ...line } = await lineOf(world, handle);
    assert.deepEqual([line.kind, outcome, reason], ["move", "aborted", null]);
    const known =
      "started_by, row_count, verified_tables, verified_rows, size_bytes > 0 AS sized, role, schemas";
    assert.deepEqual(
      await world.b.rows(`SELECT ${known} FROM microsharding.microsharding_history_ WHERE run_id = $1`, [
        line.run_id,
      ]),
      [
        {
          started_by: "ann@laptop",
          row_count: "100",
          verified_tables: "1",
          verified_rows: "100",
          sized: true,
          role: world.b.server.user,
          schemas: ["sh0042"],
        },
      ],
    );
  });

  it("has for how long an aborted switch had blocked writers", async () => {
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    await world.a.withClient(async (blocker) => {
      await blocker.query("BEGIN; INSERT INTO sh0042.users VALUES (101, 'blocker')");
      await handle.signal(confirmSignal);
      const attempts = async (): Promise<number> =>
        Math.max(0, ...(await reportsOf(handle)).map(({ details }) => details.blocked?.attempts ?? 0));
      await waitFor(async () => (await attempts()) >= 2, { what: "two attempts of the switch" });
      await handle.cancel();
      await assert.rejects(resultOf(handle));
    });
    const { outcome, blocked_attempts: attempts } = await lineOf(world, handle);
    assert.equal(outcome, "aborted");
    assert.ok(Number(attempts) >= 2, `${attempts} attempts`);
  });

  it("has a move that preflight has refused", async () => {
    const handle = await world.startMove({ schema: "sh0077", shard: 77 });
    await assert.rejects(resultOf(handle));
    const { outcome, reason_code: code, reason } = await lineOf(world, handle);
    assert.deepEqual([outcome, code], ["failed", "refused"]);
    assert.match(reason!, /sh0077/);
  });

  it("has a comparison that has found differences, without the rows", async () => {
    await world.b.rows(`CREATE SCHEMA copy; CREATE TABLE copy.users (id bigint PRIMARY KEY, name text);
      INSERT INTO copy.users SELECT i, 'secret' || i + 1 FROM generate_series(1, 100) i`);
    const handle = await startVerify(world, "copy");
    await handle.result();
    const line = await lineOf(world, handle);
    assert.deepEqual([line.kind, line.outcome, line.reason_code], ["verification", "differs", "differs"]);
    assert.match(line.reason!, /rows differ$/);
    assert.doesNotMatch(JSON.stringify(line), /secret/);
  });

  it("is left out, and that is said once, where the SQL API is older than it; the move goes on", async () => {
    await world.a.rows("DROP TABLE microsharding.microsharding_history_");
    const findings = await world.a.withClient((client) =>
      examineIsland({ ...parseDsn(world.a.dsn), client } as never),
    );
    assert.deepEqual(
      findings.filter(({ code }) => code === "history").map(({ severity }) => severity),
      ["warning"],
    );
    const { from, to } = world.input();
    const handle = await world.startMove();
    await resultOf(handle);
    assert.deepEqual(await complaints(handle), [
      `not written into the history of ${from}: its SQL API has no history: run \`shardferry install\``,
    ]);
    const [line] = await rowsOf(world.b, handle);
    assert.equal(line!.outcome, "moved");
    const back = await world.startMove({ from: to, to: from });
    await resultOf(back);
  });
});

for (const point of ["before record history", "after record history"] as const)
  it(`a worker that is killed ${point} leaves exactly one line`, { timeout: 120_000 }, async () => {
    const world = await createWorld();
    await createShard(world.a, 42, TABLE);
    const worker = await world.startWorker({ fault: point });
    const handle = await world.startMove({ activateOnDestination: false });
    await worker.gone();
    const written = point === "after record history" ? 1 : 0;
    assert.equal((await rowsOf(world.a, handle)).length, written);
    await world.startWorker();
    await resultOf(handle);
    const { kind, outcome } = await lineOf(world, handle);
    assert.deepEqual([kind, outcome], ["rehearsal", "rehearsed"]);
    assert.deepEqual(await complaints(handle), []);
  });

it(
  "an island that is silent does not hold up the end for long, and is named",
  { timeout: 240_000 },
  async () => {
    const { a, b } = await testIslands();
    const proxy = await Proxy.start(b);
    const world = await createWorld({ servers: { a, b: behind(proxy, b) } });
    const { to } = world.input();
    for (const island of [world.a, world.b]) await island.rows(`CREATE SCHEMA sh0042; ${TABLE}`);
    const worker = await world.startWorker({ fault: "before record history", mode: "hold" });
    const handle = await startVerify(world, "sh0042");
    await worker.reached("before record history");
    proxy.swallow();
    try {
      worker.goOn();
      await handle.result();
      const [line] = await rowsOf(world.a, handle);
      assert.equal(line!.outcome, "same");
      const [complaint, ...more] = await complaints(handle);
      assert.ok(
        complaint!.startsWith(`not written into the history of ${to}: ${to} is not responding`),
        complaint,
      );
      assert.deepEqual(more, []);
      const { closeTime } = await handle.describe();
      const heldUpMs = closeTime!.getTime() - (await endOf(world.a, handle)).getTime();
      assert.ok(heldUpMs < 60_000, `${heldUpMs} ms`);
    } finally {
      proxy.mend();
    }
  },
);

/** When the work of a run had ended. */
async function endOf(database: TestDatabase, handle: WorkflowHandle): Promise<Date> {
  const { runId } = await handle.describe();
  const [row] = await database.rows<{ at: Date }>(
    "SELECT ended_at AS at FROM microsharding.microsharding_history_ WHERE run_id = $1",
    [runId],
  );
  return row!.at;
}

/** Starts the comparison of the shard on a with a copy of it on b. */
async function startVerify(world: World, toSchema: string): Promise<WorkflowHandle> {
  const { schema, from, to } = world.input();
  return world.client.workflow.start("verify", {
    workflowId: verifyWorkflowId(schema),
    taskQueue: TASK_QUEUE,
    args: [{ schema, from, toSchema, to, maxReplicationLagSec: 20 }],
  });
}
