import assert from "node:assert/strict";
import { test } from "node:test";

import type { CopyMethod } from "../../workflows/contract.ts";
import { createWorld, resultOf } from "../support/world.ts";
import { createZoo } from "../support/zoo.ts";
import { contentDifferences, contentsOf, ddlDifferences, ddlOf } from "../support/zoo-compare.ts";

for (const copyMethod of ["direct", "tablesync"] satisfies CopyMethod[]) {
  test(`every kind of object arrives as it was (${copyMethod})`, async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createZoo(a, b);
    const ddl = await ddlOf({ database: a, schema: "sh0042" }, a.server.bin);
    await world.startWorker();
    const result = await resultOf(await world.startMove({ copyMethod }));
    const moved = { database: b, schema: "sh0042" };
    assert.deepEqual(ddlDifferences(ddl, await ddlOf(moved, b.server.bin)), []);
    const source = await contentsOf({ database: a, schema: result.leftover! }, "sh0042");
    assert.deepEqual(contentDifferences(source, await contentsOf(moved)), []);
  });
}
