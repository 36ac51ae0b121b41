import { list } from "../src/operations/list.ts";
import { planRebalance } from "../src/rebalance/plan.ts";
import { Command } from "../src/sandbox/commands.ts";
import { type Cluster, createCluster, FIRST } from "./cluster.ts";
import { median, seconds, type Section } from "./report.ts";
import { schemaOf, type Stage } from "./stage.ts";

const ROUNDS = 5;
const AIM = "3 s";

const fill = (schema: string): string => `
  CREATE TABLE ${schema}.users (id bigint PRIMARY KEY, name text);
  CREATE TABLE ${schema}.team (id bigint PRIMARY KEY, boss bigint);
  CREATE TABLE ${schema}.note (id bigint PRIMARY KEY, body text);
  INSERT INTO ${schema}.note SELECT i, md5(i::text) FROM generate_series(1, 1 + ${Number(schema.slice(2))} % 300) i`;

/** What a user would ask each island without any tool. */
const SIZES = `
  SELECT n.nspname, count(*), sum(pg_total_relation_size(c.oid))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname ~ '^sh[0-9]+$' AND c.relkind = 'r' GROUP BY 1`;

/** Lists a cluster of many shards, and plans its rebalance. */
export async function layout(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  say("creating four islands of shards of three tables");
  const cluster = await createCluster(stage, fill);
  await makeUneven(stage, cluster);
  const { settings, perIsland } = cluster;
  const times = { sizes: [] as number[], list: [] as number[], verbose: [] as number[] };
  const more = { command: [] as number[], plan: [] as number[] };
  let moves = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await timed(times.sizes, () => askSizes(stage, cluster));
    const seen = await timed(times.list, () => list(settings));
    await timed(times.verbose, () => list(settings, { statistics: true }));
    await timed(more.command, () => shardferry(stage, cluster, "list", "--json"));
    const plan = await timed(more.plan, async () => planRebalance(seen.islands));
    moves = plan.moves.length;
  }
  await cluster.drop();
  const row = (name: string, of: number[], aim = ""): string[] => [name, seconds(median(of)), aim];
  return [
    {
      title: "List and plan",
      text: `${4 * perIsland} shards of three tables in four databases, one of them heavier; median of ${ROUNDS} rounds.`,
      header: ["", "time", "aim"],
      rows: [
        row("one `SELECT` of the sizes in each database, for comparison", times.sizes),
        row("`list`: active shards, weights and factors", times.list, AIM),
        row("`list --verbose`: with reads and writes", times.verbose),
        row("`shardferry list --json`, from command to exit", more.command, AIM),
        row(`plan of a rebalance (${moves} moves)`, more.plan),
      ],
    },
  ];
}

/** Fills every fifth shard of the first island, so that there is something to plan. */
async function makeUneven({ a }: Stage, { databases, perIsland }: Cluster): Promise<void> {
  await a.withClient(async (client) => {
    for (let shard = FIRST; shard < FIRST + perIsland; shard += 5)
      await client.query(
        `INSERT INTO ${schemaOf(shard)}.users SELECT i, md5(i::text) FROM generate_series(1, 5000) i`,
      );
  }, databases[0]);
}

async function askSizes({ a }: Stage, { databases }: Cluster): Promise<void> {
  await Promise.all(databases.map((name) => a.withClient((client) => client.query(SIZES), name)));
}

async function shardferry({ place }: Stage, { dsns }: Cluster, ...args: string[]): Promise<void> {
  const running = await Command.start(args, { ...place, dsns }, ["ignore", "ignore", "inherit"]);
  const status = await running.ended();
  if (status !== 0) throw new Error(`shardferry ${args.join(" ")} ended with ${status}`);
}

async function timed<T>(times: number[], run: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await run();
  times.push(performance.now() - started);
  return result;
}
