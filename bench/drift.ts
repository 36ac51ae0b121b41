import { loadSettings, type Settings } from "../src/config/settings.ts";
import { doctor } from "../src/operations/doctor.ts";
import { drift } from "../src/operations/drift.ts";
import { assignSequences } from "../src/operations/sequences.ts";
import { ident } from "../src/postgres/quote.ts";
import { median, seconds, type Section } from "./report.ts";
import { createShards, DATABASE, dropShards, schemaOf, sql, type Stage } from "./stage.ts";

const ROUNDS = 3;
const ISLANDS = 4;
const FIRST = 1000;
const SEQUENCES = 3;

const fill = (schema: string): string => `
  CREATE TABLE ${schema}.users (id bigserial PRIMARY KEY, name text NOT NULL DEFAULT 'x', email text UNIQUE, at timestamptz);
  CREATE INDEX users_name ON ${schema}.users (name);
  CREATE TABLE ${schema}.team (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, boss bigint REFERENCES ${schema}.users);
  CREATE TABLE ${schema}.note (id bigserial PRIMARY KEY, body text, author bigint REFERENCES ${schema}.users, made date);
  CREATE INDEX note_made ON ${schema}.note (made, author)`;

/** Looking at the schemas and sequences of a cluster of many shards: four islands, which are databases of one server here. */
export async function drifting(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  const perIsland = Math.round((10_000 * stage.scale) / ISLANDS);
  say(`creating ${perIsland * ISLANDS} shards of three tables`);
  const dsns = await createCluster(stage, perIsland);
  const settings = await loadSettings({
    action: "drift",
    options: { dsns: dsns.join(",") },
    env: {},
    skipConfig: true,
  });
  const sections = [
    await compareSchemas(stage, settings, perIsland),
    await ownSequences(settings, perIsland * ISLANDS),
  ];
  for (const name of COPIES)
    await stage.a.withClient((client) => client.query(`DROP DATABASE ${ident(name)} WITH (FORCE)`));
  await dropShards(stage, FIRST, FIRST + perIsland - 1);
  return sections;
}

const COPIES = Array.from({ length: ISLANDS - 1 }, (_, i) => `${DATABASE}_copy_${i}`);

/** Fills an island, copies it, and gives the shards of each copy numbers of their own. */
async function createCluster(stage: Stage, perIsland: number): Promise<string[]> {
  await createShards(stage.a, FIRST, FIRST + perIsland - 1, fill);
  const dsns = [DATABASE, ...COPIES].map((name) => stage.a.dsn(name));
  for (const [i, name] of COPIES.entries()) {
    await stage.a.withClient((client) =>
      client.query(`CREATE DATABASE ${ident(name)} TEMPLATE ${ident(DATABASE)}`),
    );
    const names = Array.from({ length: perIsland }, (_, shard) => FIRST + shard).map((shard) => [
      schemaOf(shard),
      schemaOf(shard + (i + 1) * perIsland),
    ]);
    const rename = names.map(([from, to]) => `ALTER SCHEMA ${from} RENAME TO ${to};`).join("\n");
    const last = FIRST + (i + 2) * perIsland - 1;
    await stage.a.withClient(
      (client) =>
        client.query(
          `${rename} SELECT microsharding.microsharding_ensure_active(${last - perIsland + 1}, ${last})`,
        ),
      name,
    );
  }
  return dsns;
}

async function compareSchemas(stage: Stage, settings: Settings, perIsland: number): Promise<Section> {
  const alike = await measure(() => drift(settings));
  await sql(stage.a, `DROP INDEX sh${FIRST}.users_name`);
  const drifted = await measure(() => drift(settings));
  return {
    title: "Drift",
    text: `${perIsland * ISLANDS} shards of three tables with ten indexes, keys and defaults each, in four databases; median of ${ROUNDS} rounds.`,
    header: ["", "time", "aim"],
    rows: [
      ["`drift`: all alike", seconds(alike), "10 s"],
      ["`drift`: one shard lacks an index", seconds(drifted), "10 s"],
    ],
  };
}

async function ownSequences(settings: Settings, shards: number): Promise<Section> {
  const examined = await measure(() => doctor(settings));
  const assign = (): Promise<unknown> => assignSequences(settings, { mode: "range" });
  const first = await timeOf(assign);
  const again = await measure(assign);
  const own = await measure(() => doctor(settings));
  return {
    title: "Sequences",
    text: `${SEQUENCES * shards} sequences in the same shards: each gets values of its own by three statements under a lock of its own.`,
    header: ["", "time"],
    rows: [
      ["`doctor`: all hand out the same values", seconds(examined)],
      ["`sequences assign`, the first time", seconds(first)],
      ["`sequences assign`, once more", seconds(again)],
      ["`doctor`: each has values of its own", seconds(own)],
    ],
  };
}

async function timeOf(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

async function measure(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await timeOf(run));
  return median(times);
}
