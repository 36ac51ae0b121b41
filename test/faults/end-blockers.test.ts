import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { waitFor } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { activePlaces, createShard, createWorld, reportsOf, resultOf, type World } from "../support/world.ts";

/** A world whose move has come to its switch, with a worker that waits there. */
async function beforeSwitch(switches: Parameters<World["startMove"]>[0]) {
  const world = await createWorld();
  await createShard(world.a, 42, Ledger.tableSql("sh0042"));
  const worker = await world.startWorker({ fault: "before lock and switch", mode: "hold" });
  const handle = await world.startMove(switches);
  await worker.reached("before lock and switch");
  return { world, worker, handle };
}

describe("a session that blocks the switch for too long", { concurrency: 3, timeout: 200_000 }, () => {
  it("is terminated when it is idle in its transaction, and no other one is", async () => {
    const switches = { cancelBlockersAfterMs: 500, terminateBlockersAfterMs: 3000 };
    const { world, worker, handle } = await beforeSwitch(switches);
    await world.a.withClient(async (bystander) => {
      await bystander.query("BEGIN; SELECT count(*) FROM sh0042.ledger");
      await world.a
        .withClient(async (blocker) => {
          const ended = new Promise((resolve) => blocker.on("error", resolve));
          const { rows } = await blocker.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
          await blocker.query("BEGIN");
          await blocker.query("INSERT INTO sh0042.ledger (op) VALUES ('blocker')");
          const since = Date.now();
          worker.goOn();
          await ended;
          assert.ok(Date.now() - since >= 3000, "too early");
          const { endedBlockers } = await resultOf(handle);
          assert.equal(endedBlockers.length, 1, endedBlockers.join("; "));
          const { from } = world.input();
          assert.ok(endedBlockers[0]!.startsWith(`terminated pid ${rows[0]!.pid} `), endedBlockers[0]);
          assert.ok(
            endedBlockers[0]!.includes(` on ${from}, which had blocked the switch for `),
            endedBlockers[0],
          );
        })
        .catch((error: unknown) => {
          // Its session is gone, so it cannot be given back in order.
          if (error instanceof assert.AssertionError) throw error;
        });
      assert.equal((await bystander.query("SELECT 1 AS one")).rows.length, 1);
      await bystander.query("ROLLBACK");
    });
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
  });

  it("is terminated in time although the worker has died meanwhile", async () => {
    const limit = 9000;
    const { world, worker, handle } = await beforeSwitch({ terminateBlockersAfterMs: limit });
    await world.a
      .withClient(async (blocker) => {
        const ended = new Promise((resolve) => blocker.on("error", resolve));
        await blocker.query("BEGIN; INSERT INTO sh0042.ledger (op) VALUES ('blocker')");
        const since = Date.now();
        worker.goOn();
        const attempts = async (): Promise<boolean> =>
          (await reportsOf(handle)).some(({ details }) => (details.blocked?.attempts ?? 0) >= 6);
        await waitFor(attempts, { what: "some attempts", timeout: limit });
        await worker.kill();
        await world.startWorker();
        const restarted = Date.now() - since;
        await ended;
        const took = Date.now() - since;
        // A worker that counted anew would have ended it `limit` after its start at the earliest.
        assert.ok(took >= limit && took < restarted + limit, `${took} ms, restarted after ${restarted} ms`);
      })
      .catch((error: unknown) => {
        if (error instanceof assert.AssertionError) throw error;
      });
    assert.equal((await resultOf(handle)).endedBlockers.length, 1);
  });

  it("has its statement cancelled, and goes on", async () => {
    const { world, worker, handle } = await beforeSwitch({ cancelBlockersAfterMs: 2000 });
    await world.a.withClient(async (blocker) => {
      await blocker.query("BEGIN; INSERT INTO sh0042.ledger (op) VALUES ('blocker')");
      const statement = blocker.query("SELECT pg_sleep(150)");
      worker.goOn();
      await assert.rejects(statement, /canceling statement due to user request/);
      await blocker.query("ROLLBACK");
    });
    const { endedBlockers } = await resultOf(handle);
    assert.match(
      endedBlockers.join("; "),
      /^cancelled pid \d+ .*, which had blocked the switch for \d+\.\d+ s$/,
    );
  });
});
