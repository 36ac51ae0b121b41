import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { plural } from "../src/format.ts";
import { install } from "../src/postgres/api/install.ts";
import { Command, startWorker } from "../src/sandbox/commands.ts";
import type { PostgresServer } from "../src/sandbox/index.ts";
import { median, millis, seconds, type Section } from "./report.ts";
import { DATABASE, schemaOf, shell, type Stage } from "./stage.ts";

const FIRST = 30_001;
const SHARDS = 500;
/** The third island is another database of the first server, because the stage has only two servers. */
const THIRD = "third";
const BATCH = 100;
/** Milliseconds between two inserts of the writer on each island. */
const WRITE_EVERY_MS = 5;

interface Island {
  server: PostgresServer;
  database: string;
  schemas: string[];
}

interface Run {
  ms: number;
  /** The longest insert of a writer meanwhile. */
  blockedMs: number;
}

/** Adds a column to every shard of three islands, by a migration and by what a user would write instead. */
export async function migrating(
  stage: Stage,
  rounds: number,
  say: (line: string) => void,
): Promise<Section[]> {
  const islands = await createIslands(stage);
  const dsns = islands.map(({ server, database }) => server.dsn(database));
  const place = { ...stage.place, dsns };
  await stage.worker.end("SIGTERM");
  const worker = await startWorker(place);
  const runs = { psql: [] as Run[], connection: [] as Run[], migrate: [] as Run[] };
  // Other suites leave shards of their own.
  const shards = `--shards=${FIRST}-${FIRST + islands.length * SHARDS - 1}`;
  const migrate = async (column: string): Promise<void> => {
    const args = ["migrate", `--sql=${addColumn("t", column)}`, `--name=${column}`, shards, "--yes"];
    const command = await Command.start(args, place, ["ignore", "ignore", "inherit"]);
    if ((await command.ended()) !== 0) throw new Error("shardferry migrate failed");
  };
  try {
    // The first migration creates the ledgers of the shards.
    runs.migrate.push(await measured(islands, () => migrate("first")));
    say(`migrate, the first: ${seconds(runs.migrate[0]!.ms)}, blocked ${millis(runs.migrate[0]!.blockedMs)}`);
    for (let round = 0; round < rounds; round++) {
      runs.migrate.push(await measured(islands, () => migrate(`m${round}`)));
      runs.connection.push(await measured(islands, () => byConnection(islands, `c${round}`)));
      say(`migrate: ${seconds(runs.migrate.at(-1)!.ms)}, blocked ${millis(runs.migrate.at(-1)!.blockedMs)}`);
    }
    runs.psql.push(await measured(islands, () => byPsql(stage, islands, "p")));
    say(`psql: ${seconds(runs.psql[0]!.ms)}`);
  } finally {
    await worker.end("SIGTERM");
    stage.worker = await startWorker(stage.place);
    await dropIslands(islands);
  }
  const [first, ...rest] = runs.migrate;
  return [
    {
      title: "One more column in every shard",
      text:
        `Three islands with ${SHARDS} shards of one table each, changed at the same time, while a writer inserts every ` +
        `${WRITE_EVERY_MS} ms on each island; median of ${plural(rounds, "round")}, psql once. A worker is already running.`,
      header: ["", "from command to exit", "longest insert", "all or none"],
      rows: [
        ["`shardferry migrate`", ...cells(rest), "yes"],
        ["`shardferry migrate`, the first in these shards", ...cells([first!]), "yes"],
        ["one connection an island, a transaction a shard", ...cells(runs.connection), "no"],
        ["a psql process for each shard", ...cells(runs.psql), "no"],
      ],
    },
  ];
}

const cells = (runs: readonly Run[]): [string, string] => [
  seconds(median(runs.map(({ ms }) => ms))),
  millis(median(runs.map(({ blockedMs }) => blockedMs))),
];

const addColumn = (table: string, column: string): string => `ALTER TABLE ${table} ADD COLUMN ${column} int`;

async function createIslands({ a, b }: Stage): Promise<Island[]> {
  await a.withClient((client) => client.query(`CREATE DATABASE ${THIRD}`));
  await a.withClient((client) => install(client), THIRD);
  const islands = [
    { server: a, database: DATABASE },
    { server: b, database: DATABASE },
    { server: a, database: THIRD },
  ].map((island, i) => ({
    ...island,
    schemas: Array.from({ length: SHARDS }, (_, k) => schemaOf(FIRST + i * SHARDS + k)),
  }));
  for (const { server, database, schemas } of islands) {
    await server.withClient(async (client) => {
      for (let start = 0; start < schemas.length; start += BATCH) {
        const some = schemas.slice(start, start + BATCH);
        await client.query(
          some
            .map(
              (schema) =>
                `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.t (id bigserial PRIMARY KEY, name text)`,
            )
            .join(";\n"),
        );
      }
      const numbers = schemas.map((schema) => Number(schema.slice(2)));
      await client.query("SELECT microsharding.microsharding_ensure_active($1, $2)", [
        numbers[0],
        numbers.at(-1),
      ]);
    }, database);
  }
  return islands;
}

async function dropIslands(islands: readonly Island[]): Promise<void> {
  for (const { server, database, schemas } of islands) {
    await server.withClient(async (client) => {
      const numbers = schemas.map((schema) => Number(schema.slice(2)));
      await client.query("SELECT microsharding.microsharding_ensure_inactive($1, $2)", [
        numbers[0],
        numbers.at(-1),
      ]);
      for (let start = 0; start < schemas.length; start += BATCH)
        await client.query(`DROP SCHEMA ${schemas.slice(start, start + BATCH).join(", ")} CASCADE`);
    }, database);
  }
}

/** Runs something while there is a writer in one shard of each island. */
async function measured(islands: readonly Island[], run: () => Promise<void>): Promise<Run> {
  const over = new AbortController();
  const writers = islands.map((island) => write(island, over.signal));
  const started = performance.now();
  await run();
  const ms = performance.now() - started;
  over.abort();
  return { ms, blockedMs: Math.max(...(await Promise.all(writers))) };
}

async function write({ server, database, schemas }: Island, over: AbortSignal): Promise<number> {
  const client = new pg.Client({ connectionString: server.dsn(database) });
  await client.connect();
  let longest = 0;
  while (!over.aborted) {
    const started = performance.now();
    await client.query(`INSERT INTO ${schemas[0]!}.t (name) VALUES ('x')`);
    longest = Math.max(longest, performance.now() - started);
    await sleep(WRITE_EVERY_MS);
  }
  await client.end();
  return longest;
}

async function byConnection(islands: readonly Island[], column: string): Promise<void> {
  await Promise.all(
    islands.map(({ server, database, schemas }) =>
      server.withClient(async (client) => {
        for (const schema of schemas) await client.query(addColumn(`${schema}.t`, column));
      }, database),
    ),
  );
}

async function byPsql(stage: Stage, islands: readonly Island[], column: string): Promise<void> {
  const lines = islands.map(({ server: { host, port, user }, database, schemas }) => {
    const uri = `postgresql://${user}@${host}:${port}/${database}`;
    return `( for shard in ${schemas.join(" ")}; do psql -qX -c "${addColumn("$shard.t", column)}" ${uri}; done ) &`;
  });
  await shell(stage, `${lines.join("\n")}\nwait`);
}
