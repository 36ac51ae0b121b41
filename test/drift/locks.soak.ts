import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createIsland, createShards, find } from "./islands.ts";

describe("drift of many views", () => {
  it("takes no more locks than a server has room for, however many views there are", async () => {
    const island = await createIsland(18);
    const many = Array.from(
      { length: 30 },
      (_, i) => `CREATE TABLE t${i} (a integer); CREATE VIEW v${i} AS SELECT a FROM t${i};`,
    );
    // One transaction each; in total they have twice as many relations as one transaction may lock.
    await createShards(
      island,
      Array.from({ length: 250 }, (_, i) => i + 1),
      many.join(" "),
    );
    assert.equal((await find([island])).groups.length, 1);
  });
});
