import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { fitMoves } from "../../src/operations/rebalance.ts";
import { planRebalance } from "../../src/rebalance/plan.ts";
import { renderLayout, renderMoves, renderPlan } from "../../src/rebalance/render.ts";
import type { PlannedMove } from "../../src/rebalance/types.ts";
import { layoutOf, randomLayout, randomNumbers } from "./layouts.ts";

const GB = 1024 ** 3;

describe("renderPlan", () => {
  it("shows bars of each island before and after, the moves and the totals", () => {
    const layout = layoutOf({ "db1/app": [40 * GB, 30 * GB, 20 * GB, 10 * GB], "db2/app": [] });
    assert.equal(
      renderPlan(planRebalance(layout), { width: 80 }),
      [
        "         shards  before                           after",
        "db1/app   4 → 2  ██████████████████████  100 GiB  ███████████┊            50 GiB",
        "db2/app   0 → 2             ┊                0 B  ███████████┊            50 GiB",
        "",
        "db1/app → db2/app: 2 shards, 50 GiB",
        "  sh0001 sh0004",
        "",
        "2 moves, 50 GiB (50.0 % of all)",
        "Spread, (heaviest - lightest) / mean: 200.0 % before, 0.0 % after",
      ].join("\n"),
    );
  });

  it("says so when no move is worthwhile", () => {
    const text = renderPlan(planRebalance(layoutOf({ a: [GB], b: [GB] })), { width: 80 });
    assert.match(text, /Nothing to move: no move would be worthwhile/);
  });

  it("says how many moves are left for the next rebalance", () => {
    const plan = planRebalance(layoutOf({ a: [GB, GB, GB, GB], b: [] }));
    assert.match(
      renderPlan(plan, { width: 80, remaining: 1 }),
      /^One rebalance makes 1 of them; 1 more move remains after that: run rebalance\s+again\.$/m,
    );
  });

  it("marks islands that leave, islands that take no part, and global shards left behind", () => {
    const global = { no: 0, schema: "sh0000", weight: GB, bytes: GB };
    const layout = [...layoutOf({ a: [GB], b: [] }), { island: "g", shards: [global] }];
    layout[0]!.shards = [...layout[0]!.shards, { ...global }];
    const text = renderPlan(planRebalance(layout, { decommission: ["a"] }), { width: 80 });
    assert.match(text, /^a \(leaves\) +2 → 1 /m);
    assert.match(text, /^g \(global\) +1 /m);
    assert.match(text, /sh0000 stays on a/);
  });

  it("distinguishes islands that differ only in the port", () => {
    const island = (port: number): string => `127.0.0.1:${port}/postgres`;
    const layout = layoutOf({ [island(40001)]: [40 * GB, 30 * GB], [island(40002)]: [] });
    const lines = renderLayout(planRebalance(layout), { width: 80 }).split("\n");
    assert.match(lines[1]!, /^:40001 /);
    assert.match(lines[2]!, /^:40002 /);
  });

  it("keeps within the width of the terminal", () => {
    const layout = randomLayout(randomNumbers(4), 6, 200).map(({ island, shards }) => ({
      island: `${island}.databases.example.com:5432/application`,
      shards: shards.map((shard) => ({ ...shard, weight: shard.weight * GB, bytes: shard.bytes * GB })),
    }));
    const plan = planRebalance(layout, { decommission: [layout[0]!.island] });
    for (const width of [60, 80, 120, 200]) {
      const lines = [
        ...renderLayout(plan, { width }).split("\n"),
        ...renderMoves(plan.moves, width)
          .split("\n")
          .filter((line) => line.startsWith("  ")),
      ];
      assert.equal(Math.max(...lines.map(({ length }) => length)) <= width, true, `${width}`);
      assert.ok(lines.every((line) => line === line.trimEnd() || line.includes("█") || line.includes("┊")));
    }
  });

  it("lets heavy, light and even islands be painted, and any unit be formatted", () => {
    const tones: string[] = [];
    const paint = (text: string, tone: string): string => (tones.push(tone), text);
    const plan = planRebalance(layoutOf({ a: [40, 30, 20, 10], b: [] }));
    const text = renderLayout(plan, { width: 100, paint, formatWeight: (weight) => `${weight} qps` });
    assert.deepEqual(tones, ["heavy", "even", "light", "even"]);
    assert.match(text, /100 qps/);
  });
});

describe("fitMoves", () => {
  const planOf = (moves: number, schema: string): { moves: PlannedMove[] } => ({
    moves: Array.from({ length: moves }, (_, no) => ({
      schema,
      no,
      from: "a",
      to: "b",
      weight: 1,
      bytes: 1,
    })),
  });

  it("takes ten thousand moves of a plan and counts the rest; fewer if names are long", () => {
    for (const [moves, name, fitting] of [
      [9_999, "sh0042", 9_999],
      [10_000, "sh0042", 10_000],
      [12_345, "sh0042", 10_000],
      [12_345, "ü".repeat(31), 7_657],
    ] as const) {
      const { moves: taken, remaining } = fitMoves(planOf(moves, name));
      assert.deepEqual([taken.length, remaining], [fitting, moves - fitting]);
    }
  });
});
