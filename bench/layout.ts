import { loadSettings } from "../src/config/settings.ts";
import { list } from "../src/operations/list.ts";
import { planRebalance } from "../src/rebalance/plan.ts";
import { median, seconds, type Section } from "./report.ts";
import { createShards, dropShards, type Stage } from "./stage.ts";

const FIRST = 10_000;
const ROUNDS = 3;

const fill = (schema: string): string =>
  `CREATE TABLE ${schema}.t (id bigint PRIMARY KEY, name text);
   INSERT INTO ${schema}.t SELECT i, md5(i::text) FROM generate_series(1, 1 + ${Number(schema.slice(2))} % 300) i`;

/** Seeing and planning a cluster of many shards. */
export async function layout(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  const shards = Math.round(10_000 * stage.scale);
  say(`creating ${shards} shards`);
  // Uneven, so that there is something to plan.
  const split = FIRST + Math.round(shards * 0.7);
  await createShards(stage.a, FIRST, split - 1, fill);
  await createShards(stage.b, split, FIRST + shards - 1, fill);
  const settings = await loadSettings({
    action: "list",
    options: { dsns: stage.place.dsns.join(",") },
    env: {},
    skipConfig: true,
  });
  const times = { list: [] as number[], plan: [] as number[] };
  let moves = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const seen = await timed(times.list, () => list(settings));
    const plan = await timed(times.plan, async () => planRebalance(seen.islands));
    moves = plan.moves.length;
  }
  await dropShards(stage, FIRST, FIRST + shards - 1);
  return [
    {
      title: "List and plan",
      text: `${shards} shards of one table on two islands, 70 % of them on one; median of ${ROUNDS} rounds.`,
      header: ["", "time"],
      rows: [
        ["`list`: active shards, weights and factors", seconds(median(times.list))],
        [`plan of a rebalance (${moves} moves)`, seconds(median(times.plan))],
      ],
    },
  ];
}

async function timed<T>(times: number[], run: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await run();
  times.push(performance.now() - started);
  return result;
}
