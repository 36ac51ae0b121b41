import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RefusedError, UsageError } from "../../src/errors.ts";
import { planRebalance } from "../../src/rebalance/plan.ts";
import type { ShardLoad } from "../../src/rebalance/types.ts";
import { layoutOf, randomLayout, randomNumbers, weightsOf } from "./layouts.ts";

const counts = (weights: Record<string, number[]>): number[] =>
  Object.values(weights).map(({ length }) => length);
const sums = (weights: Record<string, number[]>): number[] =>
  Object.values(weights).map((list) => list.reduce((a, b) => a + b, 0));
const sumOf = (shards: readonly ShardLoad[]): number => shards.reduce((sum, { weight }) => sum + weight, 0);
const many = (count: number, weight: number): number[] => new Array<number>(count).fill(weight);

describe("planRebalance", () => {
  it("spreads the shards of a decommissioned island by weight, and its tiny ones by count", () => {
    const plan = planRebalance(layoutOf({ a: [10], b: [100, 1, 100, 1], c: [10] }), { decommission: ["b"] });
    assert.deepEqual(sums(weightsOf(plan.after)), [111, 0, 111]);
    assert.deepEqual(counts(weightsOf(plan.after)), [3, 0, 3]);
    assert.deepEqual(plan.roles, ["member", "decommissioned", "member"]);
  });

  it("spreads newly allocated shards over all islands by count", () => {
    const plan = planRebalance(layoutOf({ a: many(100, 0), b: [], c: [], d: [] }));
    assert.deepEqual(counts(weightsOf(plan.after)), [25, 25, 25, 25]);
    assert.equal(plan.moves.length, 75);
  });

  it("spreads new shards by count even if they outnumber the large ones", () => {
    const large = [1e10, 1.1e10, 1e10, 1.05e10];
    const plan = planRebalance(layoutOf({ a: [...many(90, 80_000), ...large], b: large, c: large }));
    assert.deepEqual(counts(weightsOf(plan.after)), [34, 34, 34]);
    assert.equal(plan.moves.length, 60, "no large shard is moved for the sake of the small ones");
  });

  it("gives an odd tiny shard to the island with the fewest shards", () => {
    const plan = planRebalance(layoutOf({ a: [0, 134, 134, 0], b: [], c: [], d: [] }));
    assert.deepEqual(counts(weightsOf(plan.after)), [1, 1, 1, 1]);
  });

  it("moves the cheaper half when both halves weigh the same", () => {
    const layout = layoutOf({ a: [1, 2, 3, 6], b: [] }).map(({ island, shards }) => ({
      island,
      shards: shards.map((shard) => ({ ...shard, bytes: shard.weight === 6 ? 10 : 1 })),
    }));
    const plan = planRebalance(layout);
    assert.deepEqual(weightsOf(plan.after), { a: [6], b: [1, 2, 3] });
    assert.equal(plan.bytes, 3);
  });

  it("leaves alone a layout that cannot become more even", () => {
    for (const weights of [
      {},
      { a: [1] },
      { a: [1], b: [] },
      { a: [], b: [1] },
      { a: [7, 7], b: [7], c: [7, 7] },
    ]) {
      assert.deepEqual(planRebalance(layoutOf(weights)).moves, [], JSON.stringify(weights));
    }
  });

  it("moves no large shard for a gain that nobody notices", () => {
    assert.deepEqual(planRebalance(layoutOf({ a: [...many(9, 100), 101], b: many(10, 100) })).moves, []);
  });

  it("evens out the counts of equal shards to the last one, however many there are", () => {
    const plan = planRebalance(layoutOf({ a: many(502, 7), b: many(498, 7), c: many(500, 7) }));
    assert.deepEqual(counts(weightsOf(plan.after)), [500, 500, 500]);
    assert.equal(plan.moves.length, 2);
  });

  it("has no unnecessary move among hundreds of shards", () => {
    const layout = randomLayout(randomNumbers(21), 8, 200);
    const plan = planRebalance(layout);
    const loads = new Map(plan.after.map(({ island, shards }) => [island, sumOf(shards)]));
    for (const { from, to, weight } of plan.moves) {
      const undone = new Map(loads).set(from, loads.get(from)! + weight).set(to, loads.get(to)! - weight);
      const range = (of: Map<string, number>): number => Math.max(...of.values()) - Math.min(...of.values());
      assert.ok(range(undone) > range(loads));
    }
  });

  it("gives a shard heavier than an island's fair share an island of its own and evens out the others", () => {
    const plan = planRebalance(layoutOf({ a: [10_000, 100, 100], b: [100, 100, 100, 100], c: [], d: [] }));
    assert.deepEqual(sums(weightsOf(plan.after)).sort(), [10_000, 200, 200, 200]);
    assert.deepEqual(weightsOf(plan.after)["a"], [10_000], "the giant stays where it is");
  });

  it("keeps the global shard where it is and counts its weight", () => {
    const layout = layoutOf({ a: [50, 50, 50], b: [50, 50, 50] });
    const global = { no: 0, schema: "sh0000", weight: 100, bytes: 100 };
    layout[0]!.shards = [...layout[0]!.shards, global];
    const plan = planRebalance(layout);
    assert.equal(plan.moves.length, 1);
    assert.deepEqual(sums(weightsOf(plan.after)), [200, 200]);
    assert.ok(plan.after[0]!.shards.includes(global));
  });

  it("ignores an island that holds only the global shard", () => {
    const layout = layoutOf({ a: [50, 50], b: [] });
    const global = { no: 0, schema: "sh0000", weight: 7, bytes: 7 };
    const plan = planRebalance([{ island: "g", shards: [global] }, ...layout]);
    assert.deepEqual(plan.roles, ["global", "member", "member"]);
    assert.deepEqual(plan.after[0]!.shards, [global]);
    assert.equal(plan.spreadAfter, 0);
  });

  it("reports a global shard that stays on a decommissioned island", () => {
    const layout = layoutOf({ a: [50, 50], b: [50] });
    layout[0]!.shards = [...layout[0]!.shards, { no: 0, schema: "sh0000", weight: 7, bytes: 7 }];
    const plan = planRebalance(layout, { decommission: ["a"] });
    assert.deepEqual(plan.stays, [{ schema: "sh0000", island: "a" }]);
    assert.deepEqual(
      plan.moves.map(({ schema, to }) => `${schema} to ${to}`),
      ["sh0001 to b", "sh0002 to b"],
    );
  });

  it("moves nothing with a budget of zero, and stays within the budget otherwise", () => {
    const layout = layoutOf({ a: [40, 30, 20, 10], b: [] });
    assert.deepEqual(planRebalance(layout, { maxBytes: 0 }).moves, []);
    assert.equal(planRebalance(layout, { maxBytes: 35 }).bytes, 30);
    assert.equal(planRebalance(layout, { maxBytes: 1000 }).spreadAfter, 0);
  });

  it("refuses a budget that is not enough to empty the decommissioned islands", () => {
    const layout = layoutOf({ a: [40, 30], b: [10] });
    assert.throws(() => planRebalance(layout, { decommission: ["a"], maxBytes: 69 }), RefusedError);
    assert.equal(planRebalance(layout, { decommission: ["a"], maxBytes: 70 }).bytes, 70);
  });

  it("refuses to decommission every island that could take shards", () => {
    assert.throws(
      () => planRebalance(layoutOf({ a: [1], b: [2] }), { decommission: ["a", "b"] }),
      RefusedError,
    );
    const global = { island: "g", shards: [{ no: 0, schema: "sh0000", weight: 1, bytes: 1 }] };
    assert.throws(
      () => planRebalance([global, ...layoutOf({ a: [1] })], { decommission: ["a"] }),
      RefusedError,
    );
  });

  it("names the existing islands when one to decommission is unknown", () => {
    assert.throws(() => planRebalance(layoutOf({ a: [1], b: [] }), { decommission: ["x"] }), /x.*a, b/);
  });

  it("refuses weights that are not numbers, and islands named twice", () => {
    assert.throws(() => planRebalance(layoutOf({ a: [NaN], b: [] })), UsageError);
    assert.throws(() => planRebalance([...layoutOf({ a: [1] }), ...layoutOf({ a: [2] })]), UsageError);
  });

  it("avoids an island where a schema of the shard's name is in the way, and says so", () => {
    const layout = layoutOf({ a: [10, 10, 10, 10], b: [] });
    const [first, second] = planRebalance(layout).moves;
    const inTheWay = [{ schema: first!.schema, island: "b" }];
    const plan = planRebalance(layout, { inTheWay });
    assert.deepEqual(counts(weightsOf(plan.after)), [2, 2]);
    assert.ok(plan.moves.every(({ schema }) => schema !== first!.schema));
    assert.deepEqual(plan.avoided, inTheWay);
    // What is in the way of no move is not worth a word.
    const idle = planRebalance(layout, { inTheWay: [{ schema: second!.schema, island: "a" }] });
    assert.deepEqual(idle.avoided, []);
  });

  it("leaves a decommissioned island by another way, and refuses if there is none", () => {
    const layout = layoutOf({ a: [10], b: [10, 1], c: [10, 1] });
    const [schema, ...others] = layout[0]!.shards.map((shard) => shard.schema);
    assert.deepEqual(others, []);
    const blocked = (...islands: string[]) => islands.map((island) => ({ schema: schema!, island }));
    const free = planRebalance(layout, { decommission: ["a"] });
    const [usual] = free.moves;
    const around = planRebalance(layout, { decommission: ["a"], inTheWay: blocked(usual!.to) });
    const moved = around.moves.find((move) => move.schema === schema);
    assert.notEqual(moved!.to, usual!.to);
    assert.equal(around.spreadBefore, free.spreadBefore);
    assert.throws(
      () => planRebalance(layout, { decommission: ["a"], inTheWay: blocked("b", "c") }),
      (error: Error) =>
        error instanceof RefusedError && /cannot leave a: .* in the way on b, c/.test(error.message),
    );
  });
});
