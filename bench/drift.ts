import { loadSettings } from "../src/config/settings.ts";
import { drift } from "../src/operations/drift.ts";
import { ident } from "../src/postgres/quote.ts";
import { median, seconds, type Section } from "./report.ts";
import { createShards, DATABASE, dropShards, sql, type Stage } from "./stage.ts";

const ROUNDS = 3;
const ISLANDS = 4;
const FIRST = 1000;

const fill = (schema: string): string => `
  CREATE TABLE ${schema}.users (id bigserial PRIMARY KEY, name text NOT NULL DEFAULT 'x', email text UNIQUE, at timestamptz);
  CREATE INDEX users_name ON ${schema}.users (name);
  CREATE TABLE ${schema}.team (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, boss bigint REFERENCES ${schema}.users);
  CREATE TABLE ${schema}.note (id bigserial PRIMARY KEY, body text, author bigint REFERENCES ${schema}.users, made date);
  CREATE INDEX note_made ON ${schema}.note (made, author)`;

/** Comparing the schemas of a cluster of many shards: four islands, which are databases of one server here. */
export async function drifting(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  const perIsland = Math.round((10_000 * stage.scale) / ISLANDS);
  say(`creating ${perIsland * ISLANDS} shards of three tables`);
  await createShards(stage.a, FIRST, FIRST + perIsland - 1, fill);
  const copies = Array.from({ length: ISLANDS - 1 }, (_, i) => `${DATABASE}_copy_${i}`);
  for (const name of copies) {
    await stage.a.withClient((client) =>
      client.query(`CREATE DATABASE ${ident(name)} TEMPLATE ${ident(DATABASE)}`),
    );
  }
  const dsns = [DATABASE, ...copies].map((name) => stage.a.dsn(name));
  const settings = await loadSettings({
    action: "drift",
    options: { dsns: dsns.join(",") },
    env: {},
    skipConfig: true,
  });
  const alike = await measure(() => drift(settings));
  await sql(stage.a, `DROP INDEX sh${FIRST}.users_name`);
  const drifted = await measure(() => drift(settings));
  for (const name of copies) {
    await stage.a.withClient((client) => client.query(`DROP DATABASE ${ident(name)} WITH (FORCE)`));
  }
  await dropShards(stage, FIRST, FIRST + perIsland - 1);
  return [
    {
      title: "Drift",
      text: `${perIsland * ISLANDS} shards of three tables with ten indexes, keys and defaults each, in four databases; median of ${ROUNDS} rounds.`,
      header: ["", "time"],
      rows: [
        ["`drift`: all alike", seconds(alike)],
        ["`drift`: one shard lacks an index", seconds(drifted)],
      ],
    },
  ];
}

async function measure(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
  }
  return median(times);
}
