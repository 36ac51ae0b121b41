import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../errors.ts";
import { classOf, SQLSTATE_CLASS } from "../errors/sqlstate.ts";
import { type Lend, limited, type Patience, withLocks } from "../locks.ts";
import { qualified } from "../quote.ts";

/** Milliseconds for which readers of a debug view are waited for; after that the caller continues without the views. */
const PATIENCE_MS = 10_000;

/** Somebody has been reading a debug view for a long time. */
class DebugViewsBusyError extends ShardferryError {
  constructor(island: IslandName, waitingFor: string) {
    super(
      "debug_views_busy",
      `the debug views of ${island} are not up to date because they are in use (${waitingFor}); microsharding_migration_after() or "shardferry cleanup" brings them up to date`,
    );
  }
}

/** The island whose debug views are refreshed, and how to wait for their readers. */
export interface ViewsOf {
  island: IslandName;
  patience: Patience;
  lend: Lend;
}

/** The parts of node-postgres' notices that are used here; their severity is a word in the language of the server. */
interface Notice {
  code?: string | undefined;
  message?: string | undefined;
}

/**
 * Brings the debug views of an island up to date with its active shards, and returns PostgreSQL's warnings. An island
 * without debug views gets none. It waits for readers of a view in short bursts, for ten seconds in total; then it
 * throws DebugViewsBusyError.
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
  const onNotice = ({ code = "", message }: Notice): void => {
    if (classOf(code) === SQLSTATE_CLASS.warning && message) warnings.push(message);
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
 * Drops the debug views in the open transaction, since PostgreSQL does not allow changing a column that a view reads.
 * Returns whether there were any.
 */
export async function dropDebugViews(client: ClientBase, apiSchema: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT ${qualified(apiSchema, "microsharding_migration_before")}()`,
  );
  return rowCount !== 0;
}

/**
 * Builds the debug views again in the same transaction. Does not read other islands, because a transaction that has used
 * postgres_fdw cannot be prepared.
 */
export async function createDebugViews(client: ClientBase, apiSchema: string): Promise<void> {
  await client.query(
    `SELECT ${qualified(apiSchema, "microsharding_debug_views_create")}('public', 'microsharding_debug')`,
  );
}

/** True if the debug views of an island also read other islands. */
export async function readsOtherIslands(client: ClientBase): Promise<boolean> {
  const { rowCount } = await client.query(
    "SELECT FROM pg_foreign_server WHERE starts_with(srvname::text, 'microsharding_debug_') LIMIT 1",
  );
  return rowCount !== 0;
}

/** True if the installed version of the SQL API can bring the debug views up to date. */
export async function canRefreshDebugViews(client: ClientBase, apiSchema: string): Promise<boolean> {
  const { rowCount } = await client.query("SELECT WHERE to_regprocedure($1) IS NOT NULL", [
    `${qualified(apiSchema, "microsharding_debug_views_refresh_")}()`,
  ]);
  return rowCount === 1;
}
