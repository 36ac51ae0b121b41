import { setTimeout as sleep } from "node:timers/promises";

import type pg from "pg";
import type { ClientBase } from "pg";

import type {
  ChangeInput,
  IslandShards,
  PreparedReport,
  PreparedTransaction,
} from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import { allEnd } from "../../src/all-end.ts";
import { ShardferryError } from "../../src/errors.ts";
import { plural } from "../../src/format.ts";
import { gidOf, transactionKey } from "../../src/migrations/names.ts";
import type { MigrationStatement } from "../../src/migrations/parse.ts";
import { createDebugViews, dropDebugViews } from "../../src/postgres/api/debug-views.ts";
import { createLedgers } from "../../src/postgres/api/ledger.ts";
import { requireSqlApi } from "../../src/postgres/api/sql-api.ts";
import { describeBlockers, disturbBlockersOf } from "../../src/postgres/blockers.ts";
import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { literal } from "../../src/postgres/quote.ts";
import { backendPid, whileLooking } from "../../src/postgres/session.ts";
import type { ActivityAttempt } from "../attempt/attempt.ts";
import { runInShards, StatementError } from "./run-statements.ts";

/** One try: a session on each island. */
export interface OpenTransactions {
  attempt: ActivityAttempt;
  input: ChangeInput;
  statements: readonly MigrationStatement[];
  /** In the order of the islands. */
  clients: readonly pg.Client[];
  /** Milliseconds since the epoch. */
  deadline: number;
  /** Filled with the sessions that are seen to block this one, by island. */
  blockers: Map<IslandName, string>;
}

/** Milliseconds between two looks at a session: shorter than a lock timeout, so that blockers are seen. */
const LOOK_MS = 40;
/** Milliseconds between signs of life of a session that waits for the others; PostgreSQL ends it after 2 s without one. */
const ALIVE_MS = 500;

/** Thrown for the islands that stop because another one has failed. */
class StoppedError extends Error {}

/** Runs everything everywhere, then prepares everywhere; a rehearsal rolls that back. */
export async function tryEverywhere(open: OpenTransactions): Promise<PreparedReport> {
  const stop = new AbortController();
  const looks = open.input.islands.map(({ island }, i) => {
    const look = lookAt(open, island, open.clients[i]!, stop.signal);
    return () => open.attempt.deps.islands.withLook(island, look);
  });
  return whileLooking(LOOK_MS, looks, () => runEverywhere(open, stop));
}

async function runEverywhere(open: OpenTransactions, stop: AbortController): Promise<PreparedReport> {
  const { attempt, input } = open;
  const stopped = (): void => {
    if (stop.signal.aborted) throw new StoppedError();
  };
  const over = new AbortController();
  try {
    await attempt.deps.fault("before execute");
    attempt.signal.addEventListener("abort", () => stop.abort(), { signal: over.signal });
    // On all islands before any takes a lock: one that created 500 ledgers kept the tables of the others locked for 0.3 s.
    const libs = await onAllIslands(open, stop, (shards, client) => begin(open, shards, client));
    const lockedAt = await onAllIslands(open, stop, (shards, client, i) =>
      change(open, shards, client, libs[i]!, stopped),
    );
    await attempt.deps.fault("after execute");
    attempt.throwIfCancelled();
    // A superseded attempt must not prepare a transaction that nobody will finish.
    await attempt.ensureCurrent();
    const report = await prepare(open, Math.min(...lockedAt));
    return input.migration.dryRun ? await rollBack(open, report) : report;
  } finally {
    over.abort();
  }
}

/**
 * Runs something on all islands and waits for all of them. Sessions that are done get a sign of life of their client
 * meanwhile. One failure stops the others, and the first real error is thrown.
 */
async function onAllIslands<T>(
  { input, clients }: OpenTransactions,
  stop: AbortController,
  run: (shards: IslandShards, client: pg.Client, place: number) => Promise<T>,
): Promise<T[]> {
  const running = input.islands.map((shards, i) => located(shards.island, run(shards, clients[i]!, i)));
  const done = new AbortController();
  const waiting = running.map(async (one, i) => {
    await one;
    while (!done.signal.aborted) {
      await clients[i]!.query("SELECT");
      await sleep(ALIVE_MS, undefined, { signal: done.signal }).catch(() => undefined);
    }
  });
  for (const one of waiting) one.catch(() => stop.abort());
  await Promise.allSettled(running);
  done.abort();
  await allEnd([...running, ...waiting], rank);
  return Promise.all(running);
}

/** Attributes an error of the server to the island if it does not carry its place in the migration. */
async function located<T>(island: IslandName, running: Promise<T>): Promise<T> {
  return running.catch((error: unknown) => {
    const placed = [StatementError, StoppedError, ShardferryError].some((type) => error instanceof type);
    if (placed) throw error;
    throw new StatementError({ island, schema: null, statement: null, offset: 0 }, error);
  });
}

/** The original failure says more than those that were stopped or cancelled because of it. */
function rank(error: unknown): number {
  if (error instanceof StoppedError) return 2;
  const cause = error instanceof StatementError ? error.cause : error;
  return hasSqlstate(cause, SQLSTATE.queryCanceled) ? 1 : 0;
}

/**
 * Begins the transaction of an island by creating the ledgers, which blocks nobody, since the application does not use
 * them. Returns the schema of the SQL API.
 */
async function begin(
  { input: { migration }, deadline }: OpenTransactions,
  { island, schemas }: IslandShards,
  client: pg.Client,
): Promise<string> {
  const { schema: apiSchema } = await requireSqlApi(client, island);
  const limits = [
    "BEGIN",
    `SET LOCAL lock_timeout = ${migration.lockTimeoutMs}`,
    timeLeft(deadline),
    "SET LOCAL client_min_messages = warning",
  ];
  await client.query(limits.join(";\n"));
  await createLedgers(client, apiSchema, schemas);
  return apiSchema;
}

const timeLeft = (deadline: number): string =>
  `SET LOCAL statement_timeout = ${Math.max(1, deadline - Date.now())}`;

/** Changes the shards of an island in its transaction, which stays open. Returns when the first lock was taken. */
async function change(
  { attempt, input, statements, deadline }: OpenTransactions,
  { island, schemas }: IslandShards,
  client: pg.Client,
  apiSchema: string,
  stopped: () => void,
): Promise<number> {
  stopped();
  await client.query(timeLeft(deadline));
  const lockedAt = Date.now();
  const views = await dropDebugViews(client, apiSchema);
  const key = transactionKey(attempt.runId, input.round);
  await runInShards(client, island, schemas, input.migration, statements, key, stopped);
  await client.query("SET LOCAL search_path TO DEFAULT");
  if (views) await createDebugViews(client, apiSchema);
  return lockedAt;
}

/** Makes a look at a session: who blocks it, and that it lives, which is the heartbeat. Cancels it to stop. */
function lookAt(
  { attempt, blockers }: OpenTransactions,
  island: IslandName,
  client: pg.Client,
  stop: AbortSignal,
): (observer: ClientBase) => Promise<void> {
  const pid = backendPid(client);
  return async (observer) => {
    if (stop.aborted) await observer.query("SELECT pg_cancel_backend($1)", [pid]);
    const waits = await observer.query(
      "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'",
      [pid],
    );
    if (waits.rowCount !== 0) {
      const found = await disturbBlockersOf(observer, pid);
      if (found.length > 0) blockers.set(island, describeBlockers(found));
    }
    const waitingFor = [...blockers.values()].join("; ");
    attempt.beat({ note: "changing the shards", waitingFor: waitingFor || undefined });
  };
}

/** Prepares on all islands at once: from here on the transactions outlive their sessions. */
async function prepare(open: OpenTransactions, lockedAt: number): Promise<PreparedReport> {
  const { attempt, input, clients } = open;
  const { workflowId, runId, number } = attempt;
  const prepared = await Promise.all(
    input.islands.map(async ({ island, schemas }, i): Promise<PreparedTransaction> => {
      const gid = gidOf(workflowId, runId, input.round, number, island);
      await attempt.deps.fault(`before prepare ${i + 1}`);
      await located(island, clients[i]!.query(`PREPARE TRANSACTION ${literal(gid)}`));
      await attempt.deps.fault(`after prepare ${i + 1}`);
      return { island, gid, witness: schemas[0]! };
    }),
  );
  return {
    text: `prepared ${countOf(input)}`,
    prepared,
    lockedAt,
    sql: open.statements.map(({ sql }) => shortened(sql)),
  };
}

/** Some things that a function may have done are refused only by PREPARE itself, so a dry run has to get that far. */
async function rollBack(
  { input, clients }: OpenTransactions,
  report: PreparedReport,
): Promise<PreparedReport> {
  await Promise.all(
    report.prepared.map(({ gid }, i) => clients[i]!.query(`ROLLBACK PREPARED ${literal(gid)}`)),
  );
  return {
    ...report,
    text: `ran without an error in ${countOf(input)}, and was rolled back`,
    prepared: [],
  };
}

const countOf = ({ islands }: ChangeInput): string =>
  `${plural(
    islands.reduce((sum, { schemas }) => sum + schemas.length, 0),
    "shard",
  )} on ${plural(islands.length, "island")}`;

/** For the story: the full text is already in the input. */
const shortened = (sql: string): string => (sql.length > 200 ? `${sql.slice(0, 200)}…` : sql);
