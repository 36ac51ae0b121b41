import type { ChangeInput, PreparedReport } from "../../contract/migrate.ts";
import { MigrationFailedError, MigrationLockedError } from "../../src/migrations/failure.ts";
import { sessionName } from "../../src/migrations/names.ts";
import { parseMigration } from "../../src/migrations/parse.ts";
import { VANISHING_HOLDER } from "../../src/postgres/islands/session-settings.ts";
import { backoffMs } from "../../src/postgres/locks.ts";
import type { ActivityAttempt } from "../attempt/attempt.ts";
import { isRetryable } from "../attempt/failures.ts";
import { StatementError } from "./run-statements.ts";
import { rollBackEverywhere } from "./settle.ts";
import { type OpenTransactions, tryEverywhere } from "./try-everywhere.ts";

/**
 * Locks not granted, deadlocks, serialization failures, "tuple concurrently updated", and statements that were
 * cancelled, by us or by their timeout: the transactions are rolled back and tried again.
 */
const TRY_AGAIN = /^(55P03|40P01|40001|XX000|57014|25P0[24])$/;

/**
 * Runs the migration on all islands at once, in one transaction each, and prepares them when all have come to their
 * end. No island waits prepared for a statement of another, so that the application is blocked no longer than
 * needed. What an earlier attempt may have left is rolled back first: only the attempt whose answer Temporal gets counts.
 */
export async function prepareEverywhere(
  attempt: ActivityAttempt,
  input: ChangeInput,
): Promise<PreparedReport> {
  const { migration } = input;
  const statements = await parseMigration(migration.sql, migration.source, migration.mode);
  const names = input.islands.map(({ island }) => island);
  // Counted from this attempt on: after the death of a worker the next one has the whole time.
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
      if (!mayTryAgain(error)) throw failureOf(error, input, attempt);
      if (blockers.size > 0) lastSeen = describe(blockers);
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
  const { code } = (error instanceof StatementError ? error.cause : error) as { code?: string };
  return TRY_AGAIN.test(code ?? "");
}

const describe = (blockers: ReadonlyMap<string, string>): string =>
  [...blockers].map(([island, text]) => `${text} on ${island}`).join("; ");

/**
 * Connections that break heal by themselves, unless it is a statement that breaks them again and again; what else
 * fails in a statement would fail again.
 */
function failureOf(error: unknown, { migration, round }: ChangeInput, attempt: ActivityAttempt): unknown {
  if (!(error instanceof StatementError)) return error;
  const { code } = error.cause as { code?: string };
  // Class 53, lack of resources, is retried elsewhere; here it is too many locks or prepared transactions.
  const inTime = attempt.triedMs < 1000 * migration.deadlineSec;
  if (isRetryable(error.cause) && !code?.startsWith("53") && inTime) return error.cause;
  const outcome =
    round === 0
      ? "Everything was rolled back, on all islands."
      : "This batch was rolled back on all islands; those before it are committed. Run the same command again to go on.";
  return new MigrationFailedError(migration, error.place, error.cause, outcome);
}
