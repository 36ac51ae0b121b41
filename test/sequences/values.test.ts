import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { colliding, reachOf } from "../../src/sequences/collisions.ts";
import { firstBeyond, lastShard, ownNumbers } from "../../src/sequences/own-values.ts";

const SHARDS = [0, 1, 42, 9999];

describe("values of a shard's own", () => {
  it("belong to no other shard, in both modes, even when they count down", () => {
    for (const mode of ["interleave", "range"] as const) {
      for (const width of [4, 8]) {
        const reaches = [false, true].flatMap((down) =>
          SHARDS.map((no) => reachOf(`${no} ${down}`, ownNumbers(mode, no, width, down)!)),
        );
        assert.deepEqual(colliding(reaches), [], `${mode} ${width}`);
      }
    }
  });

  it("are START N INCREMENT 10000 when interleaved", () => {
    const { start, increment } = ownNumbers("interleave", 42, 8)!;
    assert.deepEqual([start, increment], [42n, 10_000n]);
  });

  it("have limits", () => {
    assert.deepEqual(
      [lastShard("interleave", 8), lastShard("range", 4), lastShard("range", 8)],
      [9999, 10_736, 9_223_371],
    );
    for (const mode of ["interleave", "range"] as const) assert.equal(ownNumbers(mode, 1, 2), null);
    assert.equal(ownNumbers("interleave", 10_000, 8), null);
    assert.equal(ownNumbers("range", 10_737, 4), null);
  });

  it("continue beyond used values, or say that nothing is left", () => {
    const up = ownNumbers("interleave", 42, 8)!;
    for (const [beyond, first] of [
      [null, 42n],
      [41n, 42n],
      [42n, 10_042n],
      [10_041n, 10_042n],
      [25_000n, 30_042n],
    ] as const) {
      assert.equal(firstBeyond(up, beyond), first);
    }
    const down = ownNumbers("interleave", 42, 8, true)!;
    assert.deepEqual(
      [firstBeyond(down, null), firstBeyond(down, -42n), firstBeyond(down, -25_000n)],
      [-42n, -10_042n, -30_042n],
    );
    const range = ownNumbers("range", 1, 4)!;
    assert.deepEqual([firstBeyond(range, 200_001n), firstBeyond(range, 400_000n)], [200_002n, null]);
  });

  it("are found to collide by step and remainder", () => {
    const reach = (
      shard: string,
      first: bigint,
      step: bigint,
      last = 1_000_000n,
    ): Parameters<typeof colliding>[0][number] => ({ shard, first, step, last });
    assert.deepEqual(colliding([reach("a", 1n, 1n), reach("b", 42n, 10_000n)]), ["a", "b"]);
    assert.deepEqual(colliding([reach("a", 1n, 4n), reach("b", 2n, 6n)]), []);
    assert.deepEqual(colliding([reach("a", 1n, 4n), reach("b", 3n, 6n)]), ["a", "b"]);
    assert.deepEqual(colliding([reach("a", 1n, 1n, 10n), reach("b", 11n, 1n)]), []);
  });

  it("are compared without comparing every shard with every other", () => {
    const shards = Array.from({ length: 9999 }, (_, i) => i + 1);
    const own = shards.map((no) => reachOf(`${no}`, ownNumbers("interleave", no, 8)!));
    const plain = reachOf("plain", { increment: 1n, min: 5000n, max: 1_000_000n, start: 5000n });
    const high = reachOf("high", { increment: 3n, min: -20n, max: -1n, start: -20n });
    const started = performance.now();
    assert.deepEqual(colliding([...own, high]), []);
    assert.equal(colliding([...own, high, plain]).length, 10_000);
    assert.ok(performance.now() - started < 2000, `it took ${performance.now() - started} ms`);
  });
});
