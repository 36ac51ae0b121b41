import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { messageOf } from "../../src/errors.ts";
import { refreshDebugViews } from "../../src/postgres/api/debug-views.ts";
import { requireSqlApi } from "../../src/postgres/api/sql-api.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { type ActivityAttempt, alive } from "../attempt/attempt.ts";
import { isRetryable } from "../attempt/failures.ts";

/**
 * Drops the debug views in the open transaction, since PostgreSQL lets nobody change a column that a view reads.
 * Answers whether there were any.
 */
export async function dropViews(client: ClientBase, apiSchema: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT ${qualified(apiSchema, "microsharding_migration_before")}()`,
  );
  return rowCount !== 0;
}

/**
 * Builds the debug views again in the same transaction. It reads no other island: a transaction that has used
 * postgres_fdw cannot be prepared.
 */
export async function createViews(client: ClientBase, apiSchema: string): Promise<void> {
  await client.query(
    `SELECT ${qualified(apiSchema, "microsharding_debug_views_create")}('public', 'microsharding_debug')`,
  );
}

/**
 * Brings debug views over several islands up to date after the commit; answers what failed for good.
 *
 * @param mayTryAgain throws what may pass, so that there is another attempt.
 */
export async function refreshViews(
  attempt: ActivityAttempt,
  islands: readonly IslandName[],
  mayTryAgain: boolean,
): Promise<string[]> {
  const failures = await Promise.all(
    islands.map(async (island) => {
      try {
        const warnings = await refreshOn(attempt, island);
        return warnings.map((warning) => `debug views of ${island}: ${warning}`);
      } catch (error) {
        attempt.throwIfCancelled();
        if (isRetryable(error) && mayTryAgain) throw error;
        return [`debug views of ${island}: ${messageOf(error)}`];
      }
    }),
  );
  return failures.flat();
}

async function refreshOn(attempt: ActivityAttempt, island: IslandName): Promise<string[]> {
  const lend = attempt.lend(island);
  if (!(await attempt.answering(island, () => lend(readsOtherIslands)))) return [];
  // Reading the tables of other islands takes longer than a heartbeat may where they are many, or away.
  const look = alive(() => `bringing the debug views of ${island} up to date`);
  return attempt.watched(island, look, () =>
    attempt.deps.islands.withClient(island, async (client) => {
      const { schema } = await requireSqlApi(client, island);
      return refreshDebugViews(client, schema, { island, patience: attempt, lend });
    }),
  );
}

async function readsOtherIslands(client: ClientBase): Promise<boolean> {
  const { rowCount } = await client.query(
    "SELECT FROM pg_foreign_server WHERE starts_with(srvname::text, 'microsharding_debug_') LIMIT 1",
  );
  return rowCount !== 0;
}
