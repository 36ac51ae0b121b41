/**
 * How good and how fast the rebalance planner is: small clusters against the exact optimum, large ones
 * against the clock. Run with `node --import tsx bench/planner.ts [cases]`.
 */
import { planRebalance } from "../src/rebalance/plan.ts";
import type { Layout, Plan } from "../src/rebalance/types.ts";
import { layoutOf, randomLayout, randomNumbers, tryAll } from "../test/rebalance/support.ts";

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: number[]): number => sum(values) / values.length;
const totalBytes = (layout: Layout): number =>
  sum(layout.flatMap(({ shards }) => shards.map(({ bytes }) => bytes)));

/** Three islands with 6-9 shards of weights 10·e^U(0,3) at random places: every placement can be tried. */
function compareWithOptimum(cases: number): void {
  const random = randomNumbers(1);
  const rows = Array.from({ length: cases }, () => {
    const layout = randomLayout(random, 3, 6 + Math.floor(random() * 4));
    const plan = planRebalance(layout);
    const truth = tryAll(layout);
    const total = totalBytes(layout);
    const budget = 0.252 * total;
    const bought = planRebalance(layout, { maxBytes: budget });
    return {
      spread: plan.spreadAfter,
      bytes: plan.bytes / total,
      optimum: truth.spread,
      cheapest: truth.bytesFor(1.05 * truth.spread) / total,
      cheapestForOurs: truth.bytesFor(plan.spreadAfter) / total,
      bought: bought.spreadAfter,
      buyable: truth.spreadFor(budget),
    };
  });
  const of = (key: keyof (typeof rows)[number]): number => mean(rows.map((row) => row[key]));
  console.log(`${cases} clusters of 3 islands and 6-9 shards, means`);
  console.log(`  spread              ${of("spread").toFixed(4)}  optimum ${of("optimum").toFixed(4)}`);
  console.log(
    `  bytes moved         ${percent(of("bytes"))}  cheapest within 5 % of the optimum ${percent(of("cheapest"))}`,
  );
  console.log(`  cheapest for the same spread ${percent(of("cheapestForOurs"))}`);
  console.log(
    `  spread for 25.2 % of the bytes ${of("bought").toFixed(4)}  optimum ${of("buyable").toFixed(4)}`,
  );
}

function timed(name: string, layout: Layout, options: Parameters<typeof planRebalance>[1] = {}): Plan {
  const started = process.cpuUsage();
  const plan = planRebalance(layout, options);
  // Time of the processor: what else the machine does is not the planner's.
  const seconds = (process.cpuUsage(started).user / 1e6).toFixed(2);
  const spreads = `${plan.spreadBefore.toFixed(4)} → ${plan.spreadAfter.toFixed(5)}`;
  const moved = `${plan.moves.length} moves, ${percent(plan.bytes / Math.max(1, totalBytes(layout)))} of the bytes`;
  console.log(`  ${name.padEnd(44)} ${seconds} s  spread ${spreads}  ${moved}`);
  return plan;
}

function timeLargeClusters(): void {
  console.log("large clusters");
  const random = randomNumbers(2);
  for (const [islands, shards] of [
    [5, 30],
    [10, 60],
    [20, 80],
    [20, 400],
    [50, 5_000],
    [100, 100_000],
  ] as const) {
    const layout = randomLayout(random, islands, shards);
    timed(`${islands} islands, ${shards} shards`, layout);
    timed(`  2 of them decommissioned`, layout, { decommission: ["i0", "i1"] });
    timed(`  moving 1 % of the bytes`, layout, { maxBytes: 0.01 * totalBytes(layout) });
    const grown = [...layout, { island: "new", shards: [] }];
    timed(`  and an empty one`, grown);
  }
  const empty = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`i${i}`, [] as number[]]));
  timed(
    "100 islands, 100000 new shards on the first",
    layoutOf({ ...empty, i0: new Array<number>(100_000).fill(0) }),
  );
}

compareWithOptimum(Number(process.argv[2] ?? 600));
timeLargeClusters();
