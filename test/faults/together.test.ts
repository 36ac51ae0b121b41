import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { WorkflowExecutionAlreadyStartedError } from "@temporalio/client";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { abortSignal, confirmSignal } from "../../workflows/signals.ts";
import { createDatabase, expectNoLeftovers } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { activePlaces, createShard, createWorld, resultOf, untilPaused } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

describe("moves at the same time", { concurrency: 2, timeout: 600_000 }, () => {
  it("of one shard are one: Temporal refuses the second, and so does preflight from another namespace", async () => {
    const world = await createWorld();
    const elsewhere = await createWorld({ islands: world });
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    await Promise.all([world.startWorker(), elsewhere.startWorker()]);
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    await assert.rejects(world.startMove(), WorkflowExecutionAlreadyStartedError);
    const second = await elsewhere.startMove();
    await assert.rejects(
      resultOf(second),
      /this move is already running .* perhaps with another Temporal server or namespace/,
    );

    await handle.signal("confirm");
    const { leftover } = await resultOf(handle);
    await expectSound(ledger);
    await expectMoved(world, leftover, before);
  });

  it("of one shard from two namespaces at the same instant end with one of them, or none, and lose nothing", async () => {
    const world = await createWorld();
    const elsewhere = await createWorld({ islands: world });
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    await Promise.all([world.startWorker(), elsewhere.startWorker()]);
    const handles = await Promise.all([world.startMove(), elsewhere.startMove()]);
    const results = await Promise.allSettled(handles.map((handle) => resultOf(handle)));
    const moved = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));

    await expectSound(ledger);
    assert.ok(moved.length <= 1);
    if (moved[0]) await expectMoved(world, moved[0].leftover, before);
    else assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
    await expectNoLeftovers(world.a, world.b);
  });

  it("of different shards, even in opposite directions, all succeed", async () => {
    const world = await createWorld();
    const { a, b } = world;
    const [nameA, nameB] = [parseDsn(a.dsn).name, parseDsn(b.dsn).name];
    const shards = [1, 2, 3, 4].map((shard) => {
      const there = shard % 2 === 1;
      const schema = `sh000${shard}`;
      const dsns = { islands: [a.dsn, b.dsn], shard, schema, writers: 2, rate: 50 };
      return {
        shard,
        schema,
        home: there ? a : b,
        goal: there ? b : a,
        from: there ? nameA : nameB,
        to: there ? nameB : nameA,
        ledger: new Ledger(dsns),
      };
    });
    for (const { shard, schema, home, ledger } of shards) {
      await createShard(home, shard, Ledger.tableSql(schema));
      await ledger.start();
    }
    await Promise.all([world.startWorker(), world.startWorker()]);
    const results = await Promise.all(
      shards.map(async ({ shard, schema, from, to }) =>
        resultOf(await world.startMove({ shard, schema, from, to })),
      ),
    );
    assert.deepEqual(
      results.map((result) => result.activated),
      [true, true, true, true],
    );
    for (const { schema, goal, ledger } of shards) {
      await expectSound(ledger);
      assert.deepEqual(await activePlaces(schema, a, b), [goal.name]);
    }
    await expectNoLeftovers(a, b);
  });

  it("of a table without a key, a copy and a move, leave it an identity until the last of them has ended", async () => {
    const world = await createWorld();
    const { a, b } = world;
    const c = await createDatabase(b.server);
    await createShard(a, 42, "CREATE TABLE sh0042.keyless (n int); INSERT INTO sh0042.keyless VALUES (1)");
    await world.startWorker({ dsns: [a.dsn, b.dsn, c.dsn] });
    const copying = await world.startCopy({ to: parseDsn(c.dsn).name, wait: true });
    const moving = await world.startMove({ wait: true });
    for (const handle of [copying, moving]) {
      await untilPaused(handle);
    }
    const identity = async (): Promise<string | undefined> => {
      const [row] = await a.rows<{ is: string }>(
        "SELECT relreplident AS is FROM pg_class WHERE oid = 'sh0042.keyless'::regclass",
      );
      return row?.is;
    };
    assert.equal(await identity(), "f");
    await moving.signal(abortSignal);
    await assert.rejects(resultOf(moving));
    assert.equal(await identity(), "f");
    await a.rows("UPDATE sh0042.keyless SET n = 2");
    await copying.signal(confirmSignal);
    await resultOf(copying);
    assert.equal(await identity(), "d");
    assert.deepEqual(await c.rows("SELECT n FROM sh0042.keyless"), [{ n: 2 }]);
    await expectNoLeftovers(a, b, c);
  });
});
