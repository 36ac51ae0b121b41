import type { ClientBase } from "pg";

import type { CopyMethod } from "../../contract/move.ts";

/**
 * Up to this size a shard is copied directly, in one go: 1 GiB takes some ten seconds, which is what a crash
 * in the middle costs. Larger shards go through tablesync, which keeps its finished tables.
 */
export const DIRECT_COPY_BYTES = 1 << 30;

/**
 * Decides how the rows of a shard are copied.
 *
 * @param bytes the amount to read: heap and TOAST of its tables, without indexes.
 */
export function chooseCopyMethod(asked: CopyMethod, bytes: number): Exclude<CopyMethod, "auto"> {
  if (asked !== "auto") return asked;
  return bytes <= DIRECT_COPY_BYTES ? "direct" : "tablesync";
}

/** Reads the size of the largest of the given schemas, as a copy counts it; 0 if there are none. */
export async function largestCopy(client: ClientBase, schemas: readonly string[]): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    `SELECT coalesce(max(bytes), 0) AS bytes FROM (
       SELECT sum(pg_table_size(c.oid)) AS bytes
       FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'
       WHERE n.nspname = ANY ($1)
       GROUP BY n.oid
     ) shard`,
    [schemas],
  );
  return Number(rows[0]!.bytes);
}
