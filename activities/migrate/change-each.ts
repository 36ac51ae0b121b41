import type pg from "pg";
import type { ClientBase } from "pg";

import type { ChangeInput, IslandShards } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import type { StepReport } from "../../contract/progress.ts";
import { ShardferryError } from "../../src/errors.ts";
import { plural } from "../../src/format.ts";
import { MigrationFailedError, MigrationLockedError } from "../../src/migrations/failure.ts";
import { sessionName } from "../../src/migrations/names.ts";
import { type MigrationStatement, parseMigration } from "../../src/migrations/parse.ts";
import { createLedgers, LEDGER_TABLE, readApplied } from "../../src/postgres/api/ledger.ts";
import { requireSqlApi } from "../../src/postgres/api/sql-api.ts";
import { blockersOf, describeBlockers } from "../../src/postgres/blockers.ts";
import { lockNotGranted } from "../../src/postgres/errors/sqlstate.ts";
import { messageWithoutRows } from "../../src/postgres/errors/without-rows.ts";
import { backoffMs } from "../../src/postgres/locks.ts";
import { ident, qualified } from "../../src/postgres/quote.ts";
import { backendPid, whileLooking } from "../../src/postgres/session.ts";
import { type ActivityAttempt } from "../attempt/attempt.ts";
import { isRetryable, outlookOf } from "../attempt/failures.ts";
import { describeUnfinished } from "./unfinished.ts";

/** Milliseconds between two looks at a session. */
const LOOK_MS = 100;

/** What all islands share while their shards are changed one by one. */
interface Work {
  attempt: ActivityAttempt;
  input: ChangeInput;
  statements: readonly MigrationStatement[];
  total: number;
  done: number;
  /**
   * What failed, the first failure first; each leaves a shard unfinished. Other islands finish the shard that they are
   * working on, which counts as done.
   */
  failures: Failure[];
  /** How often each statement has failed with a transient error; kept from attempt to attempt. */
  broken: Record<string, number>;
}

interface Failure {
  error: unknown;
  /** Whether the step is tried again. */
  again: boolean;
  place: Place;
}

/** One island during the migration: its session, its progress, and the sessions that block it. */
interface Place {
  island: IslandName;
  apiSchema: string;
  client: pg.Client;
  schema: string;
  statement: MigrationStatement | null;
  blockers: string;
}

/**
 * Changes the shards of each island one after the other, one statement at a time and not all in one transaction. Each
 * shard records how many statements it has had, so that the next attempt or the next run continues from there.
 */
export async function changeEachShard(attempt: ActivityAttempt, input: ChangeInput): Promise<StepReport> {
  const { migration, islands } = input;
  const statements = await parseMigration(migration.sql, migration.source, "each");
  const total = islands.reduce((sum, { schemas }) => sum + schemas.length, 0);
  const work: Work = {
    attempt,
    input,
    statements,
    total,
    done: 0,
    failures: [],
    broken: { ...attempt.lastBeat.broken },
  };
  const outcomes = await Promise.allSettled(islands.map((shards) => changeIsland(work, shards)));
  attempt.throwIfCancelled();
  const [failure] = work.failures;
  if (failure) {
    attempt.beat({ note: "a statement failed", broken: work.broken });
    // Sent immediately, because the next attempt needs it.
    await attempt.ensureCurrent();
    throw await failureOf(failure, work);
  }
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
  return { text: `changed ${plural(total, "shard")} on ${plural(islands.length, "island")}, one at a time` };
}

/**
 * A session may break because the server restarts or somebody ends it: then the statement runs again when the server is
 * back. When sessions break this often at the same statement, the statement is what breaks them.
 */
const MOST_BREAKS = 3;

/** A statement did not get its locks before the deadline; becomes a MigrationLockedError when all islands have stopped. */
class StillLockedError extends Error {
  constructor(
    readonly blockers: string,
    cause: unknown,
  ) {
    super("the locks were not granted in time", { cause });
  }
}

/** A statement failed in a way that may go away; `broken` counts how often, for each statement of each shard. */
class BrokenStatementError extends ShardferryError {
  override readonly retryable = true;

  constructor({ island, schema }: Place, cause: unknown) {
    super(
      "statement_broken",
      `${schema} on ${island}: ${messageWithoutRows(cause)}; the statement is retried`,
      {
        cause,
      },
    );
  }
}

async function changeIsland(work: Work, { island, schemas }: IslandShards): Promise<void> {
  const { attempt } = work;
  await attempt.endSessions(island, sessionName(attempt.runId));
  const options = { applicationName: sessionName(attempt.runId) };
  await attempt.deps.islands.withSessions([[island, options]], async ([session]) => {
    const client = session!;
    await attempt.ensureCurrent();
    const { schema: apiSchema } = await requireSqlApi(client, island);
    const place: Place = { island, apiSchema, client, schema: "", statement: null, blockers: "" };
    const look = (): Promise<void> =>
      attempt.deps.islands.withLook(island, (observer) => lookAt(work, place, observer));
    await whileLooking(LOOK_MS, [look], () => changeShards(work, place, schemas));
  });
}

async function changeShards(work: Work, place: Place, schemas: readonly string[]): Promise<void> {
  try {
    for (const schema of schemas) {
      work.attempt.throwIfCancelled();
      if (work.failures.length > 0) return;
      place.schema = schema;
      await changeShard(work, place);
      work.done++;
    }
  } catch (error) {
    const key = `${place.island} ${place.schema} ${place.statement?.start}`;
    const times = (work.broken[key] ?? 0) + 1;
    if (place.statement) work.broken[key] = times;
    const again = isRetryable(error) && (place.statement === null || times < MOST_BREAKS);
    work.failures.push({ error, again, place });
  }
}

async function changeShard({ attempt, input, statements }: Work, place: Place): Promise<void> {
  const { client, apiSchema, schema } = place;
  const { name, hash } = input.migration;
  const book = qualified(schema, LEDGER_TABLE);
  await createLedgers(client, apiSchema, [schema]);
  const [had] = await readApplied(client, apiSchema, name, [schema]);
  if (had?.complete) return;
  if (!had)
    await client.query(`INSERT INTO ${book} (name, hash, statements, complete) VALUES ($1, $2, 0, false)`, [
      name,
      hash,
    ]);
  await client.query(`SET search_path TO ${ident(schema)}`);
  for (const [i, statement] of statements.entries()) {
    if (i < (had?.statements ?? 0)) continue;
    place.statement = statement;
    const note = async (): Promise<void> => {
      await attempt.deps.fault(`after statement ${i + 1}`);
      await client.query(
        `UPDATE ${book} SET statements = $2, complete = $3, applied_at = clock_timestamp() WHERE name = $1`,
        [name, i + 1, i + 1 === statements.length],
      );
    };
    await attempt.deps.fault(`before statement ${i + 1}`);
    await runStatement(attempt, input, place, { statement, note });
  }
  place.statement = null;
}

/**
 * Runs a statement and records it, in one transaction unless the statement cannot run in one. A statement that may block
 * the application soon gives up waiting for a lock, and is tried again.
 */
async function runStatement(
  attempt: ActivityAttempt,
  { migration }: ChangeInput,
  place: Place,
  { statement, note }: { statement: MigrationStatement; note: () => Promise<void> },
): Promise<void> {
  const { client, schema } = place;
  const deadline = Date.now() + 1000 * migration.deadlineSec;
  await client.query(`SET lock_timeout = ${statement.concurrent ? 0 : migration.lockTimeoutMs}`);
  for (let tries = 0; ; tries++) {
    if (statement.concurrentIndex !== null) await dropInvalid(client, schema, statement.concurrentIndex);
    try {
      if (!statement.concurrent) await client.query("BEGIN");
      await client.query(statement.sql);
      await note();
      if (!statement.concurrent) await client.query("COMMIT");
      place.blockers = "";
      return;
    } catch (error) {
      // On a lost connection there is nothing to roll back, and the first error is the one to report.
      if (!statement.concurrent) await client.query("ROLLBACK").catch(() => undefined);
      if (!lockNotGranted(error)) throw error;
      const blockers = place.blockers || `locks on tables of ${schema}`;
      if (Date.now() > deadline) throw new StillLockedError(blockers, error);
      await attempt.pause(backoffMs(tries));
    }
  }
}

/** Drops the invalid index that an interrupted CREATE INDEX CONCURRENTLY leaves, which would prevent the next attempt. */
async function dropInvalid(client: ClientBase, schema: string, index: string): Promise<void> {
  const { rowCount } = await client.query(
    "SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid",
    [qualified(schema, index)],
  );
  if (rowCount !== 0) await client.query(`DROP INDEX CONCURRENTLY ${qualified(schema, index)}`);
}

/** Watches a session from another one, which gives the heartbeat, and cancels its statement when the migration is aborted. */
async function lookAt(work: Work, place: Place, observer: ClientBase): Promise<void> {
  const { attempt, total } = work;
  const pid = backendPid(place.client);
  if (attempt.signal.aborted) await observer.query("SELECT pg_cancel_backend($1)", [pid]);
  const found = await blockersOf(observer, pid);
  place.blockers = found.length > 0 ? describeBlockers(found) : "";
  const { blockers, statement, schema } = place;
  attempt.beat({
    note: `${work.done} of ${total} shards are done, now ${schema}`,
    broken: work.broken,
    percent: (100 * work.done) / total,
    sql: statement?.sql.slice(0, 200),
    waitingFor: blockers || undefined,
  });
}

async function failureOf({ error, again, place }: Failure, work: Work): Promise<unknown> {
  const { attempt, input, done, total, failures, statements } = work;
  if (again) return outlookOf(error) === "may pass" ? new BrokenStatementError(place, error) : error;
  const { migration } = input;
  const halves = await Promise.all(
    failures.map((one) => describeUnfinished(attempt, { migration, statements, ...one.place })),
  );
  const outcome = [
    `${done} of ${total} shards are done, the others are not.`,
    ...halves.flat(),
    "Fix the cause and run the same command again, which continues with the others.",
  ].join("\n");
  if (error instanceof StillLockedError)
    return new MigrationLockedError(migration.deadlineSec, error.blockers, error.cause, outcome);
  const { island, schema, statement } = place;
  const offset = Math.max(0, Number((error as { position?: string }).position ?? 1) - 1);
  return new MigrationFailedError(migration, { island, schema, statement, offset }, error, outcome);
}
