import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { WorkflowHandle } from "@temporalio/client";

import type { StepProgress } from "../../contract/progress.ts";
import type { Progress } from "../../contract/story.ts";
import { numbersOf } from "../../src/watch/story.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { behind, Proxy, testIslands, waitFor } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { activePlaces, createShard, createWorld, reportsOf, resultOf, type World } from "../support/world.ts";

/** Attempts that have to fail before the blocker ends. */
const ATTEMPTS = 4;

/** How long the last attempt of each may be, at most: --max-write-block-ms, and what PostgreSQL needs to end a session. */
const LIMIT_MS = 8000;

/** Less than what passes until a switch under its lock looks whether its sessions are alive. */
const UNSEEN_MS = 240;

/** A small shard with writers. */
async function smallShard({ a, b }: World): Promise<Ledger> {
  await createShard(a, 42, Ledger.tableSql("sh0042"));
  const ledger = new Ledger({ islands: [a.dsn, b.dsn], shard: 42, schema: "sh0042", rate: 100 });
  await ledger.start();
  return ledger;
}

/** What the step under way tells. */
async function detailsOf(handle: WorkflowHandle): Promise<StepProgress> {
  const [step] = await reportsOf(handle);
  return step?.details ?? {};
}

describe("the time for which writers were blocked", { concurrency: 3, timeout: 300_000 }, () => {
  it("is told of all attempts, while they go on and at the end", async () => {
    const world = await createWorld();
    const ledger = await smallShard(world);
    const worker = await world.startWorker({ fault: "before lock and switch", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before lock and switch");
    await world.a.withClient(async (blocker) => {
      await blocker.query("BEGIN; INSERT INTO sh0042.ledger (op) VALUES ('blocker')");
      worker.goOn();
      const told = await waitFor(
        async () => {
          const details = await detailsOf(handle);
          return (details.blocked?.attempts ?? 0) >= ATTEMPTS ? details : null;
        },
        { what: `${ATTEMPTS} attempts of the switch`, timeout: 60_000 },
      );
      assert.match(numbersOf(told), /blocked for [\d,]+ ms in all by \d+ attempts, \d+ ms at the longest/);
      await blocker.query("ROLLBACK");
    });
    const { writeBlocked, writeBlockedMs } = await resultOf(handle);
    const { attempts, longestMs, totalMs, atMost } = writeBlocked;
    assert.ok(attempts > ATTEMPTS, `${attempts} attempts`);
    // Each that failed has waited for its lock for 100 ms, with writers in the queue behind it.
    assert.ok(totalMs >= 95 * (attempts - 1) && totalMs > longestMs, JSON.stringify(writeBlocked));
    assert.deepEqual([writeBlockedMs, atMost], [longestMs, false]);
    const { events } = await handle.query<Progress>(progressQuery);
    const said = new RegExp(
      `blocked for ${totalMs.toLocaleString("en")} ms in all by ${attempts} attempts, `,
    );
    assert.ok(events.some(({ step, text }) => step === "lock and switch" && said.test(text)));
    await ledger.stop();
  });

  it("is kept within its budget: the next attempt waits until some of it is free, and says so", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    const worker = await world.startWorker({ fault: "before lock", mode: "hold" });
    const handle = await world.startMove({ maxWriteBlockMs: 1500, maxWriteBlockBudgetSec: 1 });
    await worker.reached("before lock");
    const told = await b.withClient(async (stalling) => {
      await stalling.query("BEGIN; LOCK TABLE sh0042.t IN ACCESS EXCLUSIVE MODE");
      await a.rows("INSERT INTO sh0042.t VALUES (1)");
      worker.goOn();
      const budget = async (): Promise<StepProgress | null> => {
        const details = await detailsOf(handle);
        return details.waitingFor?.includes("--max-write-block-budget-sec") ? details : null;
      };
      const details = await waitFor(budget, { what: "the budget to be used up", timeout: 30_000 });
      await stalling.query("ROLLBACK");
      return details;
    });
    assert.match(told.waitingFor!, /all 1 s per 10 min are used .*the next attempt comes in \d+ min/);
    await sleep(5000);
    const { blocked } = await detailsOf(handle);
    assert.equal(blocked!.attempts, 1, "another attempt was made");
    assert.ok(blocked!.totalMs >= 1500, `${blocked!.totalMs} ms`);
    await handle.signal("abort");
    await assert.rejects(resultOf(handle), /aborted/);
  });

  it("is told as an upper bound of an attempt whose rollback was not confirmed", async () => {
    const { a, b } = await testIslands();
    const proxy = await Proxy.start(a);
    const world = await createWorld({ servers: { a: behind(proxy, a), b } });
    await createShard(world.a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    const worker = await world.startWorker({ fault: "before lock", mode: "hold" });
    const handle = await world.startMove({ maxWriteBlockMs: UNSEEN_MS });
    await worker.reached("before lock");
    await world.b.withClient(async (stalling) => {
      await stalling.query("BEGIN; LOCK TABLE sh0042.t IN ACCESS EXCLUSIVE MODE");
      await world.a.rows("INSERT INTO sh0042.t VALUES (1)");
      worker.goOn();
      const held = `SELECT FROM pg_locks WHERE relation = 'sh0042.t'::regclass AND mode = 'ExclusiveLock' AND granted`;
      await waitFor(async () => (await world.a.rows(held)).length > 0, { what: "the lock", every: 5 });
      proxy.cut();
      const counted = async (): Promise<boolean> => ((await detailsOf(handle)).blocked?.attempts ?? 0) > 0;
      await waitFor(counted, { what: "the end of the attempt" });
      await stalling.query("ROLLBACK");
    });
    const { writeBlocked } = await resultOf(handle);
    assert.equal(writeBlocked.atMost, true, JSON.stringify(writeBlocked));
  });

  it("is told as an upper bound of an attempt in which the worker died under the lock", async () => {
    const world = await createWorld();
    const ledger = await smallShard(world);
    const worker = await world.startWorker({ fault: "after lock" });
    const handle = await world.startMove();
    await worker.reached("after lock");
    await world.startWorker();
    const { writeBlocked } = await resultOf(handle);
    assert.deepEqual([writeBlocked.attempts, writeBlocked.atMost], [2, true]);
    assert.ok(writeBlocked.longestMs > 0 && writeBlocked.longestMs <= LIMIT_MS, JSON.stringify(writeBlocked));
    assert.ok(writeBlocked.totalMs >= writeBlocked.longestMs);
    await ledger.stop();
  });

  for (const aborted of [false, true])
    it(`is told of a switch that is finished after a crash${aborted ? " and an abort" : ""}`, async () => {
      const world = await createWorld();
      const ledger = await smallShard(world);
      const worker = await world.startWorker({ fault: "after commit source" });
      const handle = await world.startMove();
      ledger.takeLongestGap();
      await worker.reached("after commit source");
      if (aborted) await handle.signal("abort");
      await sleep(500);
      await world.startWorker();
      const { writeBlocked, writeBlockedMs } = await resultOf(handle);
      assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
      await ledger.nextWrite();
      const gap = ledger.takeLongestGap();
      // Nobody could write until the next worker had finished the switch; writers look again at times.
      assert.ok(
        writeBlockedMs >= gap - 500,
        `${writeBlockedMs} ms were told, for ${gap} ms nobody could write`,
      );
      assert.deepEqual([writeBlocked.attempts, writeBlocked.atMost], [1, true]);
      const { events } = await handle.query<Progress>(progressQuery);
      const { text } = events.find(({ step }) => step === "lock and switch")!;
      assert.match(text, /writers were blocked for at most [\d,]+ ms$/);
      await ledger.stop();
    });
});
