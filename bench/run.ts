/**
 * Measures how fast Shardferry is, compared with what a user would do instead: on the same servers, in the same run.
 *
 *   npm run bench                              everything; about 25 minutes on two cores
 *   npm run bench -- --only=switch,tiny        only some suites
 *   npm run bench -- --scale=0.1 --rounds=1    with less data and fewer rounds
 *   npm run bench -- --write                   writes the figures to docs/benchmarks.md; with --only, those of the given suites
 *   npm run bench -- --postgres=15             a different version of PostgreSQL
 */
import { parseArgs } from "node:util";

import { type Major, MAJORS } from "../src/sandbox/index.ts";
import { createBigShard } from "./data.ts";
import { drifting } from "./drift.ts";
import { layout } from "./layout.ts";
import { load } from "./load.ts";
import { migrating } from "./migrate.ts";
import { planning } from "./planner.ts";
import { rebalancing } from "./rebalance.ts";
import { describeMachine, render, type Section, writeDocument } from "./report.ts";
import { closeStage, openStage, sql, type Stage } from "./stage.ts";
import { switching } from "./switch.ts";
import { tables } from "./tables.ts";
import { tiny } from "./tiny.ts";
import { whole } from "./whole.ts";

type Suite = (stage: Stage, rounds: number, say: (line: string) => void) => Promise<Section[]>;

const SUITES: Record<string, Suite> = {
  whole,
  load: (stage, _rounds, say) => load(stage, say),
  switch: (stage, _rounds, say) => switching(stage, say),
  tiny: (stage, _rounds, say) => tiny(stage, say),
  tables,
  rebalance: (stage, _rounds, say) => rebalancing(stage, say),
  layout: (stage, _rounds, say) => layout(stage, say),
  planner: ({ scale }, _rounds, say) => Promise.resolve(planning(scale, say)),
  drift: (stage, _rounds, say) => drifting(stage, say),
  migrate: migrating,
};

/** Suites that need the large shard. */
const LARGE = ["whole", "load"];

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    scale: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    postgres: { type: "string", default: "17" },
    write: { type: "boolean", default: false },
  },
});
const say = (line: string): void => void process.stderr.write(`  ${line}\n`);

async function main(): Promise<void> {
  const names = values.only?.split(",") ?? Object.keys(SUITES);
  const unknown = names.filter((name) => !SUITES[name]);
  if (unknown.length > 0)
    throw new Error(
      `--only: unknown suites ${unknown.join(", ")}; the suites are ${Object.keys(SUITES).join(", ")}`,
    );
  const version = MAJORS.find((major) => major === Number(values.postgres)) as Major;
  const scale = Number(values.scale);
  const stage = await openStage(version, scale);
  const sections: Section[] = [];
  try {
    const [server] = await sql(stage.a, "SHOW server_version");
    const machine = describeMachine(String(server!["server_version"]), scale);
    process.stdout.write(`${machine}\n`);
    if (names.some((name) => LARGE.includes(name))) {
      say("generating the large shard");
      await createBigShard(stage.a, scale);
    }
    for (const name of names) {
      process.stderr.write(`${name}\n`);
      const found = await SUITES[name]!(stage, Number(values.rounds), say);
      sections.push(...found);
      for (const section of found) process.stdout.write(`\n${render(section)}\n`);
    }
    if (values.write) writeDocument(machine, sections, values.only !== undefined);
  } finally {
    await closeStage(stage);
  }
}

await main();
