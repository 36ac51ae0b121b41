import assert from "node:assert/strict";
import { test } from "node:test";

import type { CopyMethod } from "../../workflows/contract.ts";
import { createWorld, resultOf } from "../support/world.ts";
import { createZoo } from "../support/zoo.ts";
import { contentDifferences, ddlDifferences, ddlOf, rowsOf, sequencesOf } from "../support/zoo-compare.ts";

for (const copyMethod of ["direct", "tablesync"] satisfies CopyMethod[]) {
  test(`every kind of object arrives as it was (${copyMethod})`, async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createZoo(a, b);
    const shard = { database: a, schema: "sh0042" };
    const ddl = await ddlOf(shard, a.server.bin);
    const sequences = await sequencesOf(shard);
    await world.startWorker();
    const result = await resultOf(await world.startMove({ copyMethod }));
    const moved = { database: b, schema: "sh0042" };
    assert.deepEqual(ddlDifferences(ddl, await ddlOf(moved, b.server.bin)), []);
    assert.deepEqual(contentDifferences(sequences, await sequencesOf(moved)), []);
    const rows = await rowsOf({ database: a, schema: result.leftover! }, "sh0042");
    assert.deepEqual(contentDifferences(rows, await rowsOf(moved)), []);
  });
}
