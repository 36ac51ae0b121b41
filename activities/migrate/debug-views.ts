import type { IslandName } from "../../contract/names.ts";
import { messageOf } from "../../src/errors.ts";
import { readsOtherIslands, refreshDebugViews } from "../../src/postgres/api/debug-views.ts";
import { requireSqlApi } from "../../src/postgres/api/sql-api.ts";
import { type ActivityAttempt, alive } from "../attempt/attempt.ts";
import { isRetryable } from "../attempt/failures.ts";

/**
 * Brings debug views over several islands up to date after the commit; returns what has failed for good.
 *
 * @param mayTryAgain throws transient errors, so that there is another attempt.
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
  // Reading the tables of other islands takes longer than the heartbeat timeout if there are many, or if some do not respond.
  const look = alive(() => `bringing the debug views of ${island} up to date`);
  return attempt.watched(island, look, () =>
    attempt.deps.islands.withClient(island, async (client) => {
      const { schema } = await requireSqlApi(client, island);
      return refreshDebugViews(client, schema, { island, patience: attempt, lend });
    }),
  );
}
