import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { timeFor } from "../../src/rebalance/forecast.ts";
import { paceOf } from "../../src/watch/pace.ts";

const MB = 1e6;
const moves = (...sizes: number[]) =>
  sizes.map((bytes, no) => ({ schema: `sh${no}`, no, from: "a", to: "b", weight: bytes, bytes }));

describe("the time that a rebalance is expected to take", () => {
  it("has a fixed part for each move and one for its size, as earlier moves had", () => {
    const pace = paceOf([
      { bytes: 0, durationMs: 1000 },
      { bytes: 100 * MB, durationMs: 3000 },
      { bytes: 200 * MB, durationMs: 5000 },
    ]);
    assert.deepEqual([pace.msOf(50 * MB), pace.msOf(1000 * MB)], [2000, 21_000]);
    assert.equal(pace.msOf(3000 * MB), null, "nothing is known about so large a shard");
  });

  it("is that of the busiest lane", () => {
    const { msOf } = paceOf([{ bytes: 0, durationMs: 1000 }]);
    assert.equal(timeFor(moves(0, 0, 0, 0, 0), { parallelism: 2 }, msOf), 3000);
    const rooms = [{ islands: ["b"], leaving: 9, arriving: 1 }];
    assert.equal(timeFor(moves(0, 0, 0), { parallelism: 3, rooms }, msOf), 3000);
    assert.equal(timeFor(moves(1e12), { parallelism: 1 }, msOf), null);
  });
});
