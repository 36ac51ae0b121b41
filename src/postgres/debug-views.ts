import type { ClientBase } from "pg";

import { type Lend, type Patience, withLocks } from "./locks.ts";
import { qualified } from "./quote.ts";

/** The parts of node-postgres' notices that are looked at. */
interface Notice {
  severity?: string | undefined;
  message?: string | undefined;
}

/**
 * Brings the debug views of an island up to date with its active shards, and answers what PostgreSQL warns of. An
 * island without debug views stays without. Readers of a view are waited for in short bursts, until the patience ends.
 *
 * @param lib the schema of the SQL API.
 */
export async function refreshDebugViews(
  client: ClientBase,
  lib: string,
  patience: Patience,
  lend: Lend,
): Promise<string[]> {
  const sql = `SELECT ${qualified(lib, "microsharding_debug_views_refresh_")}()`;
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
      patience,
      lend,
    );
    return warnings;
  } finally {
    client.off("notice", onNotice);
  }
}
