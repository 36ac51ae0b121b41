import assert from "node:assert/strict";

import type { TestDatabase } from "./database.ts";

/** The kinds of objects that a finished or aborted operation must not leave behind in a database. */
const LEFTOVERS = `
  WITH here AS (SELECT oid, datname FROM pg_database WHERE datname = current_database())
  SELECT 'slot ' || slot_name AS leftover FROM pg_replication_slots, here WHERE database = datname
  UNION ALL
  SELECT 'publication ' || pubname FROM pg_publication
  UNION ALL
  SELECT 'subscription ' || subname FROM pg_subscription, here WHERE subdbid = here.oid
  UNION ALL
  SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts, here WHERE database = datname
  UNION ALL
  SELECT format('advisory lock %s/%s of process %s', classid, objid, pid)
  FROM pg_locks, here WHERE locktype = 'advisory' AND database = here.oid
  ORDER BY 1`;

/** Lists the slots, publications, subscriptions, prepared transactions and advisory locks of a database. */
export async function listLeftovers(database: TestDatabase): Promise<string[]> {
  const rows = await database.rows<{ leftover: string }>(LEFTOVERS);
  return rows.map(({ leftover }) => leftover);
}

/** Asserts that the databases have no slot, publication, subscription, prepared transaction or advisory lock. */
export async function expectNoLeftovers(...databases: TestDatabase[]): Promise<void> {
  for (const database of databases) {
    assert.deepEqual(
      await listLeftovers(database),
      [],
      `left behind in ${database.name} on port ${database.server.port}`,
    );
  }
}
