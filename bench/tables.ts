import { setTimeout as sleep } from "node:timers/promises";

import { plural } from "../src/format.ts";
import { median, megabytes, millis, seconds, type Section } from "./report.ts";
import {
  createShards,
  dropShards,
  freshWorker,
  moveShard,
  peakMemory,
  schemaOf,
  settle,
  shell,
  sql,
  type Stage,
  type TimedMove,
  uri,
} from "./stage.ts";

const SHARD = 30;
const TABLES = 300;
const ROWS = 100;

const fill = (schema: string): string =>
  Array.from(
    { length: TABLES },
    (_, i) =>
      `CREATE TABLE ${schema}.t${i} (id bigserial PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now());
       INSERT INTO ${schema}.t${i} (name) SELECT md5(i::text) FROM generate_series(1, ${ROWS}) i;
       CREATE INDEX ON ${schema}.t${i} (at)`,
  ).join(";\n");

/** Moves a shard of many small tables, in which the cost per table matters more than the contents. */
export async function tables(stage: Stage, rounds: number, say: (line: string) => void): Promise<Section[]> {
  const results = new Map<string, number[]>();
  const steps = new Map<string, number[]>();
  const memory: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(WAYS)) {
      await createShards(stage.a, SHARD, SHARD, fill);
      await sql(stage.a, "VACUUM (ANALYZE)");
      await freshWorker(stage);
      await warmUp(stage);
      await settle(stage);
      const started = performance.now();
      const move = await run(stage);
      // The times of the steps are queried afterwards.
      const elapsed = move?.elapsedMs ?? performance.now() - started;
      results.set(name, [...(results.get(name) ?? []), elapsed]);
      say(`${name}: ${seconds(elapsed)}`);
      for (const [step, ms] of move?.steps ?? []) steps.set(step, [...(steps.get(step) ?? []), ms]);
      if (move) memory.push(peakMemory(stage.worker.pid) ?? NaN);
      await dropShards(stage, SHARD, SHARD);
    }
  }
  return [
    {
      title: "Many small tables",
      text: `A shard of ${TABLES} tables of ${ROWS} rows with two indexes each; median of ${plural(rounds, "round")}, with a worker that has moved a shard before.`,
      header: ["", "time"],
      rows: [...results].map(([name, values]) => [name, seconds(median(values))]),
      notes: [
        `Steps of the move: ${[...steps].map(([step, ms]) => `${step} ${millis(median(ms))}`).join(", ")}. ` +
          `Peak memory of the worker: ${megabytes(Math.max(...memory))}.`,
      ],
    },
  ];
}

/** Lets a new worker make its first move, which loads code and opens sessions. */
async function warmUp(stage: Stage): Promise<void> {
  await createShards(
    stage.a,
    SHARD + 1,
    SHARD + 1,
    (schema) => `CREATE TABLE ${schema}.t (id int PRIMARY KEY)`,
  );
  await moveShard(stage, SHARD + 1);
  await dropShards(stage, SHARD + 1, SHARD + 1);
}

const WAYS: Record<string, (stage: Stage) => Promise<TimedMove | undefined>> = {
  Shardferry: (stage) => moveShard(stage, SHARD),
  "tablesync alone (structure with keys, rows; no other index)": async (stage) => {
    const { a, b } = stage;
    const schema = schemaOf(SHARD);
    await shell(
      stage,
      `pg_dump --section=pre-data --schema=${schema} ${uri(a)} | psql -Xq ${uri(b)} >/dev/null`,
    );
    const list = Array.from({ length: TABLES }, (_, i) => `${schema}.t${i}`);
    await sql(b, list.map((table) => `ALTER TABLE ${table} ADD PRIMARY KEY (id)`).join("; "));
    await sql(a, `CREATE PUBLICATION bench FOR TABLE ${list.join(", ")}`);
    await sql(b, `CREATE SUBSCRIPTION bench CONNECTION '${a.dsn("app")}' PUBLICATION bench`);
    for (let left: unknown = 1; left !== 0; await sleep(20)) {
      [{ left }] = (await sql(
        b,
        "SELECT count(*)::int AS left FROM pg_subscription_rel WHERE srsubstate <> 'r'",
      )) as [{ left: unknown }];
    }
    await sql(b, "DROP SUBSCRIPTION bench");
    await sql(a, "DROP PUBLICATION bench");
    return undefined;
  },
};
