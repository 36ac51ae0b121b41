import { plural } from "../src/format.ts";
import { type Contender, contenders, COPY_PIPE } from "./contenders.ts";
import { BIG, sizeOf, TABLE_NAMES } from "./data.ts";
import { median, megabytes, seconds, type Section } from "./report.ts";
import { freshWorker, peakMemory, settle, sql, type Stage } from "./stage.ts";

interface Result {
  elapsedMs: number[];
  steps: Map<string, number[]>;
  memory: number[];
}

/** Copies or moves a large shard by each contender in turn, round by round. */
export async function whole(stage: Stage, rounds: number, say: (line: string) => void): Promise<Section[]> {
  const all = contenders();
  const results = new Map<string, Result>(
    all.map(({ name }) => [name, { elapsedMs: [], steps: new Map(), memory: [] }]),
  );
  const expected = await contents(stage, "a");
  const bytes = await sizeOf(stage.a, BIG.schema);
  // Only the first one on a new server pays for creating WAL files.
  await measure(
    stage,
    all.find(({ name }) => name === COPY_PIPE)!,
    { elapsedMs: [], steps: new Map(), memory: [] },
    expected,
  );
  for (let round = 0; round < rounds; round++) {
    // Each round starts with a different contender, so that none always follows the same one.
    for (const contender of [...all.slice(round % all.length), ...all.slice(0, round % all.length)]) {
      await measure(stage, contender, results.get(contender.name)!, expected);
      say(`${contender.name}: ${seconds(results.get(contender.name)!.elapsedMs.at(-1)!)}`);
    }
  }
  return [compare(results, bytes, rounds), stepTable(results)];
}

async function measure(stage: Stage, contender: Contender, result: Result, expected: string): Promise<void> {
  await freshWorker(stage);
  await settle(stage);
  const started = performance.now();
  const move = await contender.run(stage);
  result.elapsedMs.push(performance.now() - started);
  for (const [step, ms] of move?.steps ?? []) result.steps.set(step, [...(result.steps.get(step) ?? []), ms]);
  const memory = peakMemory(stage.worker.pid);
  if (move && memory !== null) result.memory.push(memory);

  const arrived = await contents(stage, "b");
  if (arrived !== expected) throw new Error(`${contender.name} brought ${arrived} instead of ${expected}`);
  await contender.restore?.(stage);
  await sql(stage.b, `SELECT microsharding.microsharding_ensure_inactive(${BIG.shard})`);
  await sql(stage.b, `DROP SCHEMA ${BIG.schema} CASCADE`);
}

/** Returns the numbers of rows and indexes of each table, as a contender that left something out would win. */
async function contents(stage: Stage, side: "a" | "b"): Promise<string> {
  const counts: string[] = [];
  for (const table of TABLE_NAMES) {
    const name = `${BIG.schema}.${table}`;
    const [row] = await sql(
      stage[side],
      `SELECT (SELECT count(*) FROM ${name})::int AS rows,
         (SELECT count(*) FROM pg_index WHERE indrelid = '${name}'::regclass AND indisvalid)::int AS indexes`,
    );
    counts.push(`${table} ${String(row!["rows"])} rows ${String(row!["indexes"])} indexes`);
  }
  return counts.join(", ");
}

function compare(results: Map<string, Result>, bytes: number, rounds: number): Section {
  const limit = median(results.get(COPY_PIPE)!.elapsedMs);
  const rows = [...results]
    .map(([name, { elapsedMs, memory }]) => ({ name, ms: median(elapsedMs), memory }))
    .sort((x, y) => x.ms - y.ms)
    .map(({ name, ms, memory }) => [
      name,
      seconds(ms),
      (ms / limit).toFixed(2),
      `${(bytes / 1e3 / ms).toFixed(0)} MB/s`,
      memory.length > 0 ? megabytes(Math.max(...memory)) : "",
    ]);
  return {
    title: "A whole move",
    text:
      `A shard of ${megabytes(bytes)} (three tables, eight indexes, a foreign key) from one server to the other; median of ` +
      `${plural(rounds, "round")} in which the contenders took turns. Shardferry moves the shard for good: it also replicates what is ` +
      "written meanwhile, gathers statistics and switches; the others copy and build indexes only.",
    header: ["", "time", "against the limit", "speed", "peak memory of the worker"],
    rows,
  };
}

function stepTable(results: Map<string, Result>): Section {
  const timed = [...results].filter(([, { steps }]) => steps.size > 0);
  const steps = [...new Set(timed.flatMap(([, result]) => [...result.steps.keys()]))];
  return {
    title: "Where the time goes",
    text: "Median time of each step of the moves above.",
    header: ["step", ...timed.map(([name]) => name)],
    rows: steps.map((step) => [
      step,
      ...timed.map(([, result]) => seconds(median(result.steps.get(step) ?? [0]))),
    ]),
  };
}
