import type { ClientBase } from "pg";

/** Reads the invalid indexes of a schema: failed builds leave them, maintained but not used. */
export async function readInvalidIndexes(
  client: ClientBase,
  schema: string,
): Promise<{ name: string; table: string }[]> {
  const { rows } = await client.query<{ name: string; table: string }>(
    `SELECT c.relname AS name, t.relname AS table
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1`,
    [schema],
  );
  return rows;
}
