import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { inLanes } from "../../activities/attempt/lanes.ts";

describe("lanes over one queue", () => {
  it("take each item once, and together all of them", async () => {
    const taken: string[] = [];
    let lanes = 0;
    await inLanes(3, [1, 2, 3, 4, 5, 6, 7], async (queue) => {
      const lane = ++lanes;
      for (const item of queue) {
        taken.push(`${lane}: ${item}`);
        await turn();
      }
    });
    assert.deepEqual(taken, ["1: 1", "2: 2", "3: 3", "1: 4", "2: 5", "3: 6", "1: 7"]);
  });

  it("take no more after a failure, and finish what they are at before it is thrown", async () => {
    const finished: number[] = [];
    let lanes = 0;
    const work = inLanes(3, [1, 2, 3, 4, 5], async (queue) => {
      if (++lanes === 3) throw new Error("no session");
      for (const item of queue) {
        await turn();
        if (item === 1) throw new Error("no table");
        finished.push(item);
      }
    });
    await assert.rejects(work, { message: "no session" });
    assert.deepEqual(finished, [2]);
  });
});
