import { Application, type Window } from "../src/sandbox/application.ts";
import { ledgerTable } from "./data.ts";
import { median, millis, seconds, type Section } from "./report.ts";
import { back, createShards, dropShards, moveShard, schemaOf, type Stage } from "./stage.ts";

const SHARD = 10;
const MOVES = 20;
const WRITERS = 4;
const RATE = 200;

/** Measures the longest time that an application goes without an acknowledged write while its shard is moving. */
export async function switching(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  const schema = schemaOf(SHARD);
  await createShards(stage.a, SHARD, SHARD, ledgerTable);
  const application = startApplication(stage, schema);
  await application.start();
  const idle = await windowOf(application, () => new Promise((resolve) => setTimeout(resolve, 5000)));

  const gaps: number[] = [];
  const blocked: number[] = [];
  const elapsed: number[] = [];
  for (let i = 0; i < MOVES; i++) {
    const window = await windowOf(application, async () => {
      const { result, elapsedMs } = await moveShard(stage, SHARD, i % 2 === 0 ? {} : back(stage));
      blocked.push(result.writeBlockedMs);
      elapsed.push(elapsedMs);
    });
    gaps.push(window.longestGapMs);
    say(`move ${i + 1}: ${millis(window.longestGapMs)} without a write, blocked ${millis(blocked.at(-1)!)}`);
  }
  const { acknowledged, lost, doubled, failures, rediscoveries } = await application.stop();
  await dropShards(stage, SHARD, SHARD);
  const row = (name: string, values: number[]): string[] => [
    name,
    millis(median(values)),
    millis(Math.max(...values)),
  ];
  return [
    {
      title: "The switch under load",
      text:
        `${MOVES} moves of a small shard back and forth, while ${WRITERS} connections insert and update ${RATE} rows a second ` +
        "and look for the shard again when it is gone (SQLSTATE 42P01).",
      header: ["", "median", "worst"],
      rows: [
        row("longest time without an acknowledged write, per move", gaps),
        row("writers blocked, as the switch itself counts", blocked),
      ],
      notes: [
        `Without any move the longest time without a write was ${millis(idle.longestGapMs)} in 5 s. Of ${acknowledged} acknowledged ` +
          `writes ${lost} were lost and ${doubled} doubled; ${failures.length} failed; the shard was looked for again ` +
          `${rediscoveries} times. A whole move took ${seconds(median(elapsed))}.`,
      ],
    },
  ];
}

/** Returns an application that writes to the ledger of a shard. */
export function startApplication(stage: Stage, schema: string): Application {
  const table = `${schema}.ledger`;
  return new Application({
    dsns: stage.place.dsns,
    schema,
    writers: WRITERS,
    rate: RATE,
    insert: `INSERT INTO ${table} (reference) VALUES ($1)`,
    update: `UPDATE ${table} SET updates = updates + 1 WHERE reference = $1`,
    read: `SELECT reference, max(updates) AS updates, count(*) AS rows FROM ${table} GROUP BY reference`,
  });
}

/** Returns what the application observes while something is running. */
export async function windowOf(application: Application, run: () => Promise<unknown>): Promise<Window> {
  application.look();
  await run();
  return application.look();
}
