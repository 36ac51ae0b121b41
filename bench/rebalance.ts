import { loadSettings } from "../src/config/settings.ts";
import { list } from "../src/operations/list.ts";
import { install } from "../src/postgres/api/install.ts";
import { Command } from "../src/sandbox/commands.ts";
import { seconds, type Section } from "./report.ts";
import { createShards, DATABASE, settle, type Stage } from "./stage.ts";

const SHARDS = 300;
const FIRST = 20_000;
const THIRD = "app3";
const PARALLELISMS = [8, 3];

/** Tables of a new shard, without rows. */
const emptyTables = (schema: string): string =>
  ["a", "b", "c"]
    .map((table) => `CREATE TABLE ${schema}.${table} (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE)`)
    .join(";\n");

/** Spreads new shards, all on the first of three islands, by one command; and moves them back to one island. */
export async function rebalancing(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  const { a, b, place } = stage;
  await a.withClient((client) => client.query(`CREATE DATABASE ${THIRD}`));
  await a.withClient((client) => install(client), THIRD);
  const shards = Math.round(SHARDS * stage.scale);
  await createShards(a, FIRST, FIRST + shards - 1, emptyTables);
  await settle(stage);
  const dsns = [a.dsn(DATABASE), b.dsn(DATABASE), a.dsn(THIRD)];
  const wide = { ...place, dsns };
  await stage.worker.end("SIGTERM");
  const { startWorker } = await import("../src/sandbox/commands.ts");
  stage.worker = await startWorker(wide);
  const rows: string[][] = [];
  for (const parallelism of PARALLELISMS) {
    const settings = await loadSettings({
      action: "list",
      options: { dsns: dsns.join(",") },
      env: {},
      skipConfig: true,
    });
    const count = async (): Promise<number[]> =>
      (await list(settings)).islands.map(({ shards: all }) => all.length);
    const started = performance.now();
    await rebalance(wide, [`--parallelism=${parallelism}`]);
    const elapsed = performance.now() - started;
    const counts = await count();
    say(`${parallelism} at a time: ${seconds(elapsed)}, ${counts.join(" ")}`);
    const moves = counts.slice(1).reduce((sum, one) => sum + one, 0);
    rows.push([
      `${parallelism} at a time`,
      String(moves),
      seconds(elapsed),
      (moves / (elapsed / 1000)).toFixed(1),
    ]);
    if (parallelism !== PARALLELISMS.at(-1)) {
      await rebalance(wide, ["--parallelism=16", `--decommission=${wide.dsns.slice(1).join(",")}`]);
      for (const [server, database] of [
        [a, DATABASE],
        [b, DATABASE],
        [a, THIRD],
      ] as const) {
        await server.withClient(async (client) => {
          const { rows: old } = await client.query<{ name: string }>(
            "SELECT nspname AS name FROM pg_namespace WHERE nspname ~ 'old_'",
          );
          for (const { name } of old) await client.query(`DROP SCHEMA ${name} CASCADE`);
        }, database);
      }
    }
  }
  return [
    {
      title: "Rebalance",
      text: `${shards} empty shards of three tables on the first of three islands, spread by \`shardferry rebalance\`, from command to exit.`,
      header: ["", "moves", "time", "moves in a second"],
      rows,
    },
  ];
}

async function rebalance(
  place: { dsns: readonly string[]; temporalAddress: string },
  more: string[],
): Promise<void> {
  const command = await Command.start(["rebalance", "--yes", ...more], place, [
    "ignore",
    "ignore",
    "inherit",
  ]);
  const status = await command.ended();
  if (status !== 0) throw new Error(`shardferry rebalance ended with ${status}`);
}
