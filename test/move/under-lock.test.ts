import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { progressQuery } from "../../workflows/signals.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";

const SQL = `
  CREATE TABLE sh0042.users (id int PRIMARY KEY);
  INSERT INTO sh0042.users SELECT generate_series(1, 60);
  CREATE UNLOGGED TABLE sh0042.cache (id int PRIMARY KEY);
  INSERT INTO sh0042.cache VALUES (1)`;

describe("a table that is copied under the lock", { timeout: 120_000 }, () => {
  it("counts in the result of a copy and of a move; what the switch has cost is told after it, too", async () => {
    const world = await createWorld();
    await createShard(world.a, 42, SQL);
    await world.startWorker();
    assert.equal((await resultOf(await world.startCopy())).rows, 61);
    await world.b.rows("DROP SCHEMA sh0042 CASCADE");
    const handle = await world.startMove();
    const { rows, writeBlocked } = await resultOf(handle);
    assert.equal(rows, 61);
    assert.deepEqual((await handle.query(progressQuery)).writeBlocked, writeBlocked);
  });
});
