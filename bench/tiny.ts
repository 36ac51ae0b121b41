import { parseDsn } from "../src/postgres/islands/dsn.ts";
import { Command } from "../src/sandbox/commands.ts";
import { median, megabytes, millis, seconds, type Section } from "./report.ts";
import {
  back,
  createShards,
  DATABASE,
  dropShards,
  moveShard,
  peakMemory,
  schemaOf,
  settle,
  sql,
  type Stage,
} from "./stage.ts";

const TINY = 20;
const EMPTY = 1000;
const MOVES = 10;
const EMPTY_MOVES = 64;
const AT_A_TIME = 8;

/** Three tables, about 1.8 MB. */
const tinyTables = (schema: string): string =>
  ["a", "b", "c"]
    .map(
      (table) =>
        `CREATE TABLE ${schema}.${table} (id bigserial PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now());
         INSERT INTO ${schema}.${table} (name) SELECT md5(i::text) FROM generate_series(1, 5500) i;
         CREATE INDEX ON ${schema}.${table} (at)`,
    )
    .join(";\n");

/** Tables of a new shard, without rows. */
const emptyTables = (schema: string): string =>
  ["a", "b", "c"]
    .map((table) => `CREATE TABLE ${schema}.${table} (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE)`)
    .join(";\n");

/** Measures how long a small move takes from command to exit, and how many empty shards move per second. */
export async function tiny(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  await createShards(stage.a, TINY, TINY, tinyTables);
  await createShards(stage.a, EMPTY, EMPTY + EMPTY_MOVES - 1, emptyTables);
  await settle(stage);
  const commands: number[] = [];
  const moves: number[] = [];
  const steps = new Map<string, number[]>();
  for (let i = 0; i < MOVES; i++) {
    commands.push(await runCommand(stage, i % 2 === 0 ? "b" : "a"));
    say(`shardferry move: ${seconds(commands.at(-1)!)}`);
  }
  for (let i = 0; i < MOVES; i++) {
    const move = await moveShard(stage, TINY, i % 2 === 0 ? {} : back(stage));
    moves.push(move.elapsedMs);
    for (const [step, ms] of move.steps) steps.set(step, [...(steps.get(step) ?? []), ms]);
  }
  const help = await timed(() => command(stage, ["move", "--help"]));
  const alone = peakMemory(stage.worker.pid);
  const empty = await moveEmpty(stage);
  const together = peakMemory(stage.worker.pid);
  const size = await sql(
    stage.a,
    `SELECT sum(pg_total_relation_size(oid))::int AS bytes FROM pg_class
    WHERE relnamespace = '${schemaOf(TINY)}'::regnamespace AND relkind = 'r'`,
  );
  await dropShards(stage, TINY, TINY);
  await dropShards(stage, EMPTY, EMPTY + EMPTY_MOVES - 1);
  return [
    {
      title: "Small moves",
      text:
        `A shard of three tables, ${(Number(size[0]!["bytes"]) / 1e6).toFixed(1)} MB, moved back and forth ${MOVES} times with a worker ` +
        `that is already running; and ${EMPTY_MOVES} empty shards of three tables, ${AT_A_TIME} at a time.`,
      header: ["", "median", "worst"],
      rows: [
        [
          "`shardferry move`, from command to exit",
          seconds(median(commands)),
          seconds(Math.max(...commands)),
        ],
        ["of this, the workflow", seconds(median(moves)), seconds(Math.max(...moves))],
        ["`shardferry move --help`, for comparison", seconds(help), ""],
        ["empty shards moved in a second", (EMPTY_MOVES / (empty / 1000)).toFixed(1), ""],
      ],
      notes: [
        `Steps of the workflow: ${[...steps].map(([step, ms]) => `${step} ${millis(median(ms))}`).join(", ")}. ` +
          `Peak memory of the worker: ${memory(alone)} one by one, ${memory(together)} with ${AT_A_TIME} at a time.`,
      ],
    },
  ];
}

async function runCommand(stage: Stage, side: "a" | "b"): Promise<number> {
  const to = parseDsn(stage[side].dsn(DATABASE)).name;
  const args = ["move", `--shard=${TINY}`, `--to=${to}`, "--activate-on-destination=yes"];
  return timed(() => command(stage, args));
}

/** Runs the command line to its end, as a user would. */
async function command(stage: Stage, args: readonly string[]): Promise<void> {
  const run = await Command.start(args, stage.place, ["ignore", "ignore", "pipe"]);
  let errors = "";
  run.child.stderr!.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  if ((await run.ended()) !== 0) throw new Error(`shardferry ${args.join(" ")} failed: ${errors}`);
}

const memory = (bytes: number | null): string => (bytes === null ? "not known" : megabytes(bytes));

async function timed(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

async function moveEmpty(stage: Stage): Promise<number> {
  const queue = Array.from({ length: EMPTY_MOVES }, (_, i) => EMPTY + i);
  const lane = async (): Promise<void> => {
    for (let shard = queue.shift(); shard !== undefined; shard = queue.shift()) await moveShard(stage, shard);
  };
  return timed(() => Promise.all(Array.from({ length: AT_A_TIME }, lane)));
}
