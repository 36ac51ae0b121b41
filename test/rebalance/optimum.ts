import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { planRebalance } from "../../src/rebalance/plan.ts";
import type { Layout } from "../../src/rebalance/types.ts";
import { randomLayout, randomNumbers, tryAll } from "./layouts.ts";

const bytesOf = (layout: Layout): number =>
  layout.flatMap(({ shards }) => shards).reduce((sum, s) => sum + s.bytes, 0);
const average = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Three islands, 6-9 shards with weights 10·e^U(0,3) at random places. */
function smallClusters(seed: number, cases: number): Layout[] {
  const random = randomNumbers(seed);
  return Array.from({ length: cases }, () => randomLayout(random, 3, 6 + Math.floor(random() * 4)));
}

/** Whether there are shards that are spread by count. */
function hasTiny(layout: Layout): boolean {
  const weights = layout.flatMap(({ shards }) => shards.map(({ weight }) => weight)).sort((a, b) => a - b);
  return weights[0]! <= 0.1 * weights[Math.floor(weights.length / 2)]!;
}

/** Compares plans of a number of small clusters with all possible placements. */
export function testOptimum(cases: number): void {
  describe("compared with all possible placements", () => compare(cases));
}

function compare(cases: number): void {
  it("a plan is within 5 % of the least spread, for at most 1.2 times the bytes that it takes", () => {
    const rows = smallClusters(11, cases).map((layout) => {
      const plan = planRebalance(layout);
      const truth = tryAll(layout);
      return {
        spread: plan.spreadAfter,
        least: truth.spread,
        hasTiny: hasTiny(layout),
        bytes: plan.bytes / bytesOf(layout),
        fewest: truth.bytesFor(1.05 * truth.spread) / bytesOf(layout),
        fewestForOurs: truth.bytesFor(plan.spreadAfter) / bytesOf(layout),
      };
    });
    const mean = (key: Exclude<keyof (typeof rows)[number], "hasTiny">): number =>
      average(rows.map((row) => row[key]));
    assert.ok(mean("spread") <= 1.05 * mean("least"), `spread ${mean("spread")}, least ${mean("least")}`);
    assert.ok(mean("bytes") <= 1.05 * mean("fewest"), `bytes ${mean("bytes")}, fewest ${mean("fewest")}`);
    assert.ok(mean("bytes") <= 1.02 * mean("fewestForOurs"), `bytes ${mean("bytes")}`);
    const far = rows.filter(({ spread, least }) => spread > 1.05 * least + 0.02);
    assert.ok(
      far.every((row) => row.hasTiny),
      "only even counts of tiny shards keep a plan from its optimum",
    );
  });

  it("a plan without tolerance has the least spread, except for negligible differences", () => {
    for (const layout of smallClusters(12, cases / 5)) {
      if (hasTiny(layout)) continue;
      const plan = planRebalance(layout, { tolerance: 0 });
      assert.ok(plan.spreadAfter <= tryAll(layout).spread + 0.02 + 1e-9);
    }
  });

  it("a budget leads to nearly the least spread that it allows", () => {
    const random = randomNumbers(13);
    const rows = smallClusters(14, cases).map((layout) => {
      const maxBytes = 0.4 * random() * bytesOf(layout);
      const plan = planRebalance(layout, { maxBytes });
      assert.ok(plan.bytes <= maxBytes);
      return { spread: plan.spreadAfter, least: tryAll(layout).spreadFor(maxBytes) };
    });
    const [spread, least] = [average(rows.map((row) => row.spread)), average(rows.map((row) => row.least))];
    assert.ok(spread <= 1.02 * least, `spread ${spread}, least ${least}`);
  });
}

/** Plans for many islands, and compares with bounds. */
export function testLarge(): void {
  describe("100 islands with 100,000 shards", large);
}

function large(): void {
  const layout = randomLayout(randomNumbers(15), 100, 100_000);
  const loads = layout.map(({ shards }) => shards.reduce((sum, { weight }) => sum + weight, 0));
  const mean = average(loads);

  it("are planned in two seconds, far more evenly than needed and with nearly the fewest bytes there can be", () => {
    const before = process.cpuUsage();
    const plan = planRebalance(layout);
    const seconds = process.cpuUsage(before).user / 1e6;
    // However shards are chosen, what an island has beyond the spread must leave it.
    const excess = loads.reduce((sum, load) => sum + Math.max(0, load - mean * (1 + plan.spreadAfter)), 0);
    assert.ok(seconds < 2, `${seconds} s`);
    assert.ok(plan.spreadAfter < 0.001, `spread ${plan.spreadAfter}`);
    assert.ok(plan.bytes < 1.05 * excess, `${plan.bytes} bytes moved, at least ${excess}`);
  });

  it("are evened out as far as a budget of 1 % of the bytes allows", () => {
    const maxBytes = 0.01 * bytesOf(layout);
    const plan = planRebalance(layout, { maxBytes });
    assert.ok(plan.bytes <= maxBytes);
    // Liquid shards poured from the heaviest to the lightest islands would leave this.
    const least = (pouredOff(loads, maxBytes, 1) - pouredOff(loads, maxBytes, -1)) / mean;
    assert.ok(plan.spreadAfter < 1.1 * least, `spread ${plan.spreadAfter}, at best ${least}`);
  });
}

/**
 * The level down to which an amount can be taken from the heaviest islands (sign 1), or up to which the
 * lightest can be filled (-1).
 */
function pouredOff(loads: number[], amount: number, sign: 1 | -1): number {
  const sorted = loads.toSorted((a, b) => sign * (b - a));
  let taken = 0;
  for (let i = 1; i < sorted.length; i++) {
    const step = i * sign * (sorted[i - 1]! - sorted[i]!);
    if (taken + step > amount) return sorted[i - 1]! - (sign * (amount - taken)) / i;
    taken += step;
  }
  return sorted.at(-1)!;
}
