import { doctor } from "../src/operations/doctor.ts";
import { drift } from "../src/operations/drift.ts";
import { assignSequences } from "../src/operations/sequences.ts";
import { type Cluster, createCluster, FIRST } from "./cluster.ts";
import { median, seconds, type Section } from "./report.ts";
import { schemaOf, type Stage } from "./stage.ts";

const ROUNDS = 3;
const SEQUENCES = 3;

const fill = (schema: string): string => `
  CREATE TABLE ${schema}.users (id bigserial PRIMARY KEY, name text NOT NULL DEFAULT 'x', email text UNIQUE, at timestamptz);
  CREATE INDEX users_name ON ${schema}.users (name);
  CREATE TABLE ${schema}.team (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, boss bigint REFERENCES ${schema}.users);
  CREATE TABLE ${schema}.note (id bigserial PRIMARY KEY, body text, author bigint REFERENCES ${schema}.users, made date);
  CREATE INDEX note_made ON ${schema}.note (made, author)`;

/** Reads the schemas and sequences of a cluster of many shards. */
export async function drifting(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  say("creating four islands of shards of three tables");
  const cluster = await createCluster(stage, fill);
  const sections = [await compareSchemas(stage, cluster), await ownSequences(cluster)];
  await cluster.drop();
  return sections;
}

async function compareSchemas({ a }: Stage, { settings, databases, perIsland }: Cluster): Promise<Section> {
  const alike = await measure(() => drift(settings));
  await a.withClient((client) => client.query(`DROP INDEX ${schemaOf(FIRST)}.users_name`), databases[0]);
  const drifted = await measure(() => drift(settings));
  return {
    title: "Drift",
    text: `${4 * perIsland} shards of three tables with ten indexes, keys and defaults each, in four databases; median of ${ROUNDS} rounds.`,
    header: ["", "time", "aim"],
    rows: [
      ["`drift`: all alike", seconds(alike), "10 s"],
      ["`drift`: one shard lacks an index", seconds(drifted), "10 s"],
    ],
  };
}

async function ownSequences({ settings, perIsland }: Cluster): Promise<Section> {
  const examined = await measure(() => doctor(settings));
  const assign = (): Promise<unknown> => assignSequences(settings, { mode: "range" });
  const first = await timeOf(assign);
  const again = await measure(assign);
  const own = await measure(() => doctor(settings));
  return {
    title: "Sequences",
    text: `${SEQUENCES * 4 * perIsland} sequences in the same shards: each gets values of its own by three statements under a lock of its own.`,
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
