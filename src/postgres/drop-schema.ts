import type { ClientBase } from "pg";

import { ident, literal, qualified } from "./quote.ts";

/** Tables dropped per transaction: each takes several locks, and the lock table holds some thousands in all. */
const BATCH = 100;

/**
 * Drops a schema with everything in it, tables first and some at a time, so that one with thousands of
 * tables does not run out of shared memory. What other schemas build on it is not dropped silently: the
 * tables go with CASCADE only inside the schema's own objects.
 *
 * @param tell called with the progress, after every batch.
 */
export async function dropSchemaInBatches(
  client: ClientBase,
  schema: string,
  tell: (note: string) => void,
): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ name: string; kind: string; total: string }>(
      `SELECT c.relname AS name, c.relkind AS kind, count(*) OVER () AS total
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       ORDER BY c.relname LIMIT ${BATCH}`,
      [schema],
    );
    if (Number(rows[0]?.total ?? 0) <= BATCH) break;
    const names = rows.map((row) => qualified(schema, row.name)).join(", ");
    await client.query(`DROP TABLE IF EXISTS ${names} CASCADE`);
    tell(`dropping ${literal(schema)}: ${rows[0]?.total} tables left`);
  }
  await client.query(`DROP SCHEMA IF EXISTS ${ident(schema)} CASCADE`);
}
