import type { ChangeInput, PreparedReport } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import { messageOf } from "../../src/errors.ts";
import { MigrationFailedError, MigrationLockedError } from "../../src/migrations/failure.ts";
import { sessionName } from "../../src/migrations/names.ts";
import { adviceOnNotify, refusesNotify } from "../../src/migrations/notifiers.ts";
import { parseMigration } from "../../src/migrations/parse.ts";
import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { VANISHING_HOLDER } from "../../src/postgres/islands/session-settings.ts";
import { backoffMs } from "../../src/postgres/locks.ts";
import type { ActivityAttempt } from "../attempt/attempt.ts";
import { isRetryable } from "../attempt/failures.ts";
import { StatementError } from "./run-statements.ts";
import { rollBackEverywhere } from "./settle.ts";
import { type OpenTransactions, tryEverywhere } from "./try-everywhere.ts";

/**
 * Locks that were not granted, deadlocks, serialization failures, "tuple concurrently updated", and statements that were
 * cancelled, by us or by a timeout: the transactions are rolled back and tried again.
 */
const TRY_AGAIN = [
  SQLSTATE.lockNotAvailable,
  SQLSTATE.deadlockDetected,
  SQLSTATE.serializationFailure,
  SQLSTATE.internalError,
  SQLSTATE.queryCanceled,
  SQLSTATE.inFailedTransaction,
  SQLSTATE.transactionTimeout,
];

/**
 * Runs the migration on all islands at once, in one transaction each, and prepares these when all have finished. No
 * island waits in the prepared state for a statement on another, so the application is blocked no longer than necessary.
 * Whatever an earlier attempt may have left is rolled back first: only the attempt whose result reaches Temporal counts.
 */
export async function prepareEverywhere(
  attempt: ActivityAttempt,
  input: ChangeInput,
): Promise<PreparedReport> {
  const { migration } = input;
  const statements = await parseMigration(migration.sql, migration.source, migration.mode);
  const names = input.islands.map(({ island }) => island);
  // Counted from the start of this attempt: after the death of a worker, the next one has the full time again.
  const deadline = Date.now() + 1000 * migration.deadlineSec;
  let lastSeen = "locks on tables of the shards";
  for (let tries = 0; ; tries++) {
    await rollBackEverywhere(attempt, names, attempt.number);
    const wanted = names.map(
      (island) =>
        [island, { settings: VANISHING_HOLDER, applicationName: sessionName(attempt.runId) }] as const,
    );
    const blockers = new Map<string, string>();
    try {
      return await attempt.deps.islands.withSessions(wanted, async (clients) => {
        const { cancelled } = await attempt.ensureCurrent();
        if (cancelled) await attempt.awaitCancellation();
        const open: OpenTransactions = { attempt, input, statements, clients, deadline, blockers };
        return tryEverywhere(open);
      });
    } catch (error) {
      attempt.throwIfCancelled();
      if (!mayTryAgain(error)) throw await failureOf(error, input, attempt);
      if (blockers.size > 0) lastSeen = [...blockers.values()].join("; ");
      if (Date.now() > deadline) {
        await rollBackEverywhere(attempt, names, attempt.number);
        throw new MigrationLockedError(migration.deadlineSec, lastSeen, error);
      }
      attempt.beat({ waitingFor: lastSeen, note: `try ${tries + 1} was rolled back` });
    }
    await attempt.pause(backoffMs(tries));
  }
}

function mayTryAgain(error: unknown): boolean {
  return hasSqlstate(error instanceof StatementError ? error.cause : error, ...TRY_AGAIN);
}

/**
 * A lost connection is retried, unless it is a statement that breaks it again and again; a statement that fails for any
 * other reason would fail again.
 */
async function failureOf(error: unknown, input: ChangeInput, attempt: ActivityAttempt): Promise<unknown> {
  const { migration, round } = input;
  if (!(error instanceof StatementError)) return error;
  const inTime = attempt.triedMs < 1000 * migration.deadlineSec;
  if (isRetryable(error.cause, attempt.number) && inTime) return error.cause;
  const outcome =
    round === 0
      ? "Everything was rolled back, on all islands."
      : "This batch was rolled back on all islands; those before it are committed. Run the same command again to continue.";
  const advice = refusesNotify(error.cause) ? await adviceFor(attempt, input, error.place.island) : [];
  return new MigrationFailedError(migration, error.place, error.cause, [...advice, outcome].join("\n"));
}

/** Says what to do about triggers that call NOTIFY. If the island cannot be asked, the failure itself has to suffice. */
async function adviceFor(
  { deps }: ActivityAttempt,
  { islands }: ChangeInput,
  island: IslandName,
): Promise<string[]> {
  const schemas = islands.find((one) => one.island === island)?.schemas ?? [];
  try {
    return [await deps.islands.withLook(island, (client) => adviceOnNotify(client, schemas))];
  } catch (error) {
    return [`The triggers that call NOTIFY could not be looked up: ${messageOf(error)}`];
  }
}
