import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { Client, Connection } from "@temporalio/client";

import { type MoveInput, type MoveResult } from "../contract/move.ts";
import { moveWorkflowId, TASK_QUEUE } from "../contract/names.ts";
import { type Progress } from "../contract/story.ts";
import { moveSwitches } from "../src/config/switches.ts";
import { install } from "../src/postgres/api/install.ts";
import { parseDsn } from "../src/postgres/islands/dsn.ts";
import { type Command, type Place, startWorker } from "../src/sandbox/commands.ts";
import { makeServerFolder } from "../src/sandbox/folders.ts";
import {
  closeSandbox,
  type Major,
  type PostgresServer,
  startPostgres,
  startTemporal,
} from "../src/sandbox/index.ts";
import type { move } from "../workflows/index.ts";

export const DATABASE = "app";

/** Settings that an operator would use on a server of this size. It is durable: fsync and full page writes are on. */
const SETTINGS = {
  shared_buffers: "512MB",
  maintenance_work_mem: "256MB",
  effective_cache_size: "2GB",
  max_wal_size: "4GB",
  checkpoint_timeout: "15min",
  // PostgreSQL's own default.
  max_sync_workers_per_subscription: "2",
};

/** Two servers with the SQL API, a Temporal server, and a worker in a process of its own. */
export interface Stage {
  a: PostgresServer;
  b: PostgresServer;
  place: Place;
  client: Client;
  worker: Command;
  /** The environment of psql and similar programs: the passwords of both servers. */
  env: NodeJS.ProcessEnv;
  scale: number;
}

/** Starts everything. */
export async function openStage(version: Major, scale: number): Promise<Stage> {
  const start = (name: string): Promise<PostgresServer> =>
    startPostgres({ version, name, durable: true, settings: SETTINGS });
  const [a, b, temporal] = await Promise.all([start("island-a"), start("island-b"), startTemporal()]);
  for (const server of [a, b]) {
    await server.withClient((client) => client.query(`CREATE DATABASE ${DATABASE}`));
    await server.withClient((client) => install(client), DATABASE);
  }
  const place: Place = { dsns: [a.dsn(DATABASE), b.dsn(DATABASE)], temporalAddress: temporal.address };
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection });
  return { a, b, place, client, worker: await startWorker(place), env: await passwords(a, b), scale };
}

/** Stops everything. */
export async function closeStage(stage: Stage): Promise<void> {
  await stage.worker.end("SIGTERM");
  await stage.client.connection.close();
  await closeSandbox();
}

/** Replaces the worker with a new one, so that its memory does not include earlier work. */
export async function freshWorker(stage: Stage): Promise<void> {
  await stage.worker.end("SIGTERM");
  stage.worker = await startWorker(stage.place);
}

/** Returns the peak memory of a process in bytes; null if the system does not report it. */
export function peakMemory(pid: number): number | null {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes ? 1024 * Number(kilobytes) : null;
  } catch {
    return null;
  }
}

async function passwords(...servers: PostgresServer[]): Promise<NodeJS.ProcessEnv> {
  const file = join(await makeServerFolder("passwords"), "pgpass");
  const lines = servers.map(({ host, port, user, password }) => `${host}:${port}:*:${user}:${password}\n`);
  writeFileSync(file, lines.join(""), { mode: 0o600 });
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("PG"));
  return { ...Object.fromEntries(kept), PGPASSFILE: file };
}

const run = promisify(execFile);

/** Runs a line of bash with the servers' own version of psql and so on; fails if any part of a pipe fails. */
export async function shell({ a, env }: Stage, line: string): Promise<void> {
  await run("bash", ["-c", `set -e -o pipefail; ${line}`], {
    env: { ...env, PATH: `${a.bin}:${env["PATH"]}`, ...libraries(a) },
    maxBuffer: 1 << 28,
  });
}

/** The programs of a downloaded server need its own libpq. */
const libraries = ({ bin }: PostgresServer): NodeJS.ProcessEnv => ({
  LD_LIBRARY_PATH: [join(bin, "..", "lib"), process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(":"),
});

/** Returns a connection string without a password. */
export const uri = ({ host, port, user }: PostgresServer): string =>
  `postgresql://${user}@${host}:${port}/${DATABASE}`;

/** Runs SQL in the database of an island. */
export async function sql(server: PostgresServer, text: string): Promise<Record<string, unknown>[]> {
  return server.withClient(
    async (client) => (await client.query(text)).rows as Record<string, unknown>[],
    DATABASE,
  );
}

/** Writes dirty pages to disk, so that no contender pays for the previous one. */
export async function settle({ a, b }: Stage): Promise<void> {
  await Promise.all([a, b].map((server) => sql(server, "CHECKPOINT")));
}

/** The result of a move, and the time that each step took. */
export interface TimedMove {
  result: MoveResult;
  elapsedMs: number;
  steps: Map<string, number>;
}

/** Moves a shard through Temporal, as the command line does, and waits for its end. */
export async function moveShard(
  stage: Stage,
  shard: number,
  options: Partial<MoveInput> = {},
): Promise<TimedMove> {
  const schema = schemaOf(shard);
  const request: MoveInput = {
    shard,
    schema,
    from: parseDsn(stage.a.dsn(DATABASE)).name,
    to: parseDsn(stage.b.dsn(DATABASE)).name,
    ...moveSwitches({}, {}),
    ...options,
  };
  const started = performance.now();
  const handle = await stage.client.workflow.start<typeof move>("move", {
    workflowId: moveWorkflowId(schema),
    taskQueue: TASK_QUEUE,
    args: [request],
  });
  const result = await handle.result();
  const elapsedMs = performance.now() - started;
  return { result, elapsedMs, steps: stepTimes(await handle.query<Progress>("progress")) };
}

/** Returns the options of the same move in the other direction. */
export const back = ({ a, b }: Stage): Partial<MoveInput> => ({
  from: parseDsn(b.dsn(DATABASE)).name,
  to: parseDsn(a.dsn(DATABASE)).name,
});

/** An event is recorded when something has ended. */
function stepTimes({ events, startedAt }: Progress): Map<string, number> {
  const times = new Map<string, number>();
  let before = startedAt;
  for (const { at, step } of events) {
    times.set(step, (times.get(step) ?? 0) + at - before);
    before = at;
  }
  return times;
}

export const schemaOf = (shard: number): string => `sh${String(shard).padStart(4, "0")}`;

/** Creates shards on an island and activates them; `fill` returns the SQL that creates the contents of one. */
export async function createShards(
  server: PostgresServer,
  first: number,
  last: number,
  fill: (schema: string) => string,
  database = DATABASE,
): Promise<void> {
  await server.withClient(async (client) => {
    // A transaction's locks must fit into the server's lock table.
    for (let from = first; from <= last; from += 200) {
      const to = Math.min(last, from + 199);
      await client.query("SELECT microsharding.microsharding_ensure_exist($1, $2)", [from, to]);
      const shards = Array.from({ length: to - from + 1 }, (_, i) => schemaOf(from + i));
      await client.query(shards.map(fill).join(";\n") || "SELECT");
      await client.query("SELECT microsharding.microsharding_ensure_active($1, $2)", [from, to]);
    }
  }, database);
}

/** Drops all schemas of a range of shards on both islands, including old copies. */
export async function dropShards({ a, b }: Stage, first: number, last: number): Promise<void> {
  for (const server of [a, b]) {
    await server.withClient(async (client) => {
      await client.query("SELECT microsharding.microsharding_ensure_inactive($1, $2)", [first, last]);
      const { rows } = await client.query<{ name: string }>(
        `SELECT nspname AS name FROM pg_namespace
         WHERE substring(nspname FROM '^sh(\\d{4,5})')::int BETWEEN $1 AND $2`,
        [first, last],
      );
      for (const { name } of rows) await client.query(`DROP SCHEMA ${name} CASCADE`);
    }, DATABASE);
  }
}
