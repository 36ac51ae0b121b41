import assert from "node:assert/strict";
import { test } from "node:test";

import { expectNoLeftovers } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { activePlaces, createShard, createWorld, resultOf } from "../support/world.ts";

test("a shard moves under load and loses nothing", async () => {
  const world = await createWorld();
  const { a, b } = world;
  await createShard(a, 42, `${Ledger.tableSql("sh0042")}; CREATE INDEX ON sh0042.ledger (at)`);
  const ledger = new Ledger({ islands: [a.dsn, b.dsn], shard: 42, schema: "sh0042" });
  await ledger.start();
  await world.startWorker();
  const handle = await world.startMove();
  const result = await resultOf(handle);
  const { failures, lost, doubled, longestGapMs, acknowledged } = await ledger.stop();
  console.log({ longestGapMs, acknowledged, ...result });

  assert.deepEqual({ lost, doubled, failures }, { lost: 0, doubled: 0, failures: [] });
  assert.ok(longestGapMs < 2000, `no write for ${longestGapMs} ms`);
  assert.deepEqual(await activePlaces("sh0042", a, b), [b.name]);
  assert.equal(result.activated, true);
  await expectNoLeftovers(a, b);
});
