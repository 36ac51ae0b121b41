import { planRebalance } from "../src/rebalance/plan.ts";
import type { Layout } from "../src/rebalance/types.ts";
import { layoutOf, randomLayout, randomNumbers, tryAll } from "../test/rebalance/layouts.ts";
import { seconds, type Section } from "./report.ts";

const CASES = 600;
/**
 * The fraction of the bytes of each cluster that a plan may move. pg-microsharding moves as much on average, but more
 * where that pays off, so its mean spread is not comparable with the one that this budget buys.
 */
const BUDGET = 0.252;
/** Numbers of islands and shards of clusters that are too large to try all placements. */
const LARGE = [
  [5, 30],
  [10, 60],
  [20, 80],
  [20, 400],
  [50, 5_000],
  [100, 100_000],
] as const;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;
const totalBytes = (layout: Layout): number =>
  sum(layout.flatMap(({ shards }) => shards.map(({ bytes }) => bytes)));

/** Measures how good and how fast the planner is: small clusters against the optimum, large ones against the clock. */
export function planning(scale: number, say: (line: string) => void): Section[] {
  const cases = Math.max(1, Math.round(CASES * scale));
  say(`trying every placement of ${cases} small clusters`);
  return [compareWithOptimum(cases), timeLargeClusters(scale)];
}

/** Uses three islands with 6-9 shards of weights 10·e^U(0,3) at random places, so that every placement can be tried. */
function compareWithOptimum(cases: number): Section {
  const random = randomNumbers(1);
  const rows = Array.from({ length: cases }, () => {
    const layout = randomLayout(random, 3, 6 + Math.floor(random() * 4));
    const plan = planRebalance(layout);
    const truth = tryAll(layout);
    const total = totalBytes(layout);
    const budget = BUDGET * total;
    return {
      spread: plan.spreadAfter,
      bytes: plan.bytes / total,
      optimum: truth.spread,
      cheapest: truth.bytesFor(1.05 * truth.spread) / total,
      cheapestForOurs: truth.bytesFor(plan.spreadAfter) / total,
      bought: planRebalance(layout, { maxBytes: budget }).spreadAfter,
      buyable: truth.spreadFor(budget),
    };
  });
  const of = (key: keyof (typeof rows)[number]): number => mean(rows.map((row) => row[key]));
  return {
    title: "Plans against the optimum",
    text:
      `Means over ${cases} clusters of three islands and 6 to 9 shards of weights 10·e^U(0,3) at random places, all of ` +
      "whose placements are tried. Spread is what lies between the heaviest and the lightest island, by their mean.",
    header: ["", "planner", "best possible"],
    rows: [
      ["spread", of("spread").toFixed(4), of("optimum").toFixed(4)],
      [
        "bytes moved, against the cheapest within 5 % of the best spread",
        percent(of("bytes")),
        percent(of("cheapest")),
      ],
      [
        "bytes moved, against the cheapest of the same spread",
        percent(of("bytes")),
        percent(of("cheapestForOurs")),
      ],
      [
        `spread where no cluster may move more than ${percent(BUDGET)} of its bytes`,
        of("bought").toFixed(4),
        of("buyable").toFixed(4),
      ],
    ],
  };
}

function timeLargeClusters(scale: number): Section {
  const random = randomNumbers(2);
  const rows: string[][] = [];
  const plan = (name: string, layout: Layout, options: Parameters<typeof planRebalance>[1] = {}): void => {
    const started = process.cpuUsage();
    const { spreadBefore, spreadAfter, moves, bytes } = planRebalance(layout, options);
    // Processor time, because whatever else the machine does is not the planner's.
    const time = seconds(process.cpuUsage(started).user / 1000);
    const moved = percent(bytes / Math.max(1, totalBytes(layout)));
    rows.push([name, time, spreadBefore.toFixed(4), spreadAfter.toFixed(5), String(moves.length), moved]);
  };
  for (const [islands, all] of LARGE) {
    const shards = Math.max(islands, Math.round(all * Math.min(1, scale)));
    const layout = randomLayout(random, islands, shards);
    plan(`${islands} islands, ${shards} shards`, layout);
    plan("… two of them decommissioned", layout, { decommission: ["i0", "i1"] });
    plan("… moving 1 % of the bytes", layout, { maxBytes: 0.01 * totalBytes(layout) });
    plan("… and an empty island", [...layout, { island: "new", shards: [] }]);
  }
  const [islands, all] = LARGE.at(-1)!;
  const shards = Math.round(all * Math.min(1, scale));
  const empty = Object.fromEntries(Array.from({ length: islands }, (_, i) => [`i${i}`, [] as number[]]));
  plan(
    `${islands} islands, ${shards} new shards on the first`,
    layoutOf({ ...empty, i0: new Array<number>(shards).fill(0) }),
  );
  return {
    title: "Plans of large clusters",
    text: "Random weights and places as above. The aim for 100 islands with 100,000 shards is 2 s of the processor.",
    header: ["", "time", "spread before", "after", "moves", "of the bytes"],
    rows,
  };
}
