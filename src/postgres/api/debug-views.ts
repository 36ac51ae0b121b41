import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../errors.ts";
import { type Lend, limited, type Patience, withLocks } from "../locks.ts";
import { qualified } from "../quote.ts";

/** Milliseconds for which those who read a debug view are waited for: what was to be done is done without them. */
const PATIENCE_MS = 10_000;

/** Somebody reads a debug view for long. */
class DebugViewsBusyError extends ShardferryError {
  constructor(island: IslandName, waitingFor: string) {
    super(
      "debug_views_busy",
      `the debug views of ${island} are not up to date, since they are in use (${waitingFor}): microsharding_migration_after() or "shardferry cleanup" brings them up to date`,
    );
  }
}

/** Whose debug views, and who waits for those who read them. */
export interface ViewsOf {
  island: IslandName;
  patience: Patience;
  lend: Lend;
}

/** The parts of node-postgres' notices that are looked at. */
interface Notice {
  severity?: string | undefined;
  message?: string | undefined;
}

/**
 * Brings the debug views of an island up to date with its active shards, and answers what PostgreSQL warns of. An
 * island without debug views stays without. Readers of a view are waited for in short bursts, for ten seconds in all;
 * then it throws DebugViewsBusyError.
 *
 * @param apiSchema the schema of the SQL API.
 */
export async function refreshDebugViews(
  client: ClientBase,
  apiSchema: string,
  { island, patience, lend }: ViewsOf,
): Promise<string[]> {
  const sql = `SELECT ${qualified(apiSchema, "microsharding_debug_views_refresh_")}()`;
  let warnings: string[] = [];
  const onNotice = ({ severity, message }: Notice): void => {
    if (severity === "WARNING" && message) warnings.push(message);
  };
  client.on("notice", onNotice);
  try {
    await withLocks(
      client,
      async () => {
        warnings = [];
        await client.query(sql);
      },
      limited(patience, PATIENCE_MS, (waitingFor) => new DebugViewsBusyError(island, waitingFor)),
      lend,
    );
    return warnings;
  } finally {
    client.off("notice", onNotice);
  }
}

/**
 * Drops the debug views in the open transaction, since PostgreSQL lets nobody change a column that a view reads.
 * Answers whether there were any.
 */
export async function dropDebugViews(client: ClientBase, apiSchema: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT ${qualified(apiSchema, "microsharding_migration_before")}()`,
  );
  return rowCount !== 0;
}

/**
 * Builds the debug views again in the same transaction. It reads no other island: a transaction that has used
 * postgres_fdw cannot be prepared.
 */
export async function createDebugViews(client: ClientBase, apiSchema: string): Promise<void> {
  await client.query(
    `SELECT ${qualified(apiSchema, "microsharding_debug_views_create")}('public', 'microsharding_debug')`,
  );
}

/** True where the debug views of an island read other islands, too. */
export async function readsOtherIslands(client: ClientBase): Promise<boolean> {
  const { rowCount } = await client.query(
    "SELECT FROM pg_foreign_server WHERE starts_with(srvname::text, 'microsharding_debug_') LIMIT 1",
  );
  return rowCount !== 0;
}

/** True where the SQL API is of a version that can bring the debug views up to date. */
export async function canRefreshDebugViews(client: ClientBase, apiSchema: string): Promise<boolean> {
  const { rowCount } = await client.query("SELECT WHERE to_regprocedure($1) IS NOT NULL", [
    `${qualified(apiSchema, "microsharding_debug_views_refresh_")}()`,
  ]);
  return rowCount === 1;
}
