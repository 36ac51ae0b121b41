import type { ClientBase } from "pg";

import { ident, literal } from "../quote.ts";
import { lastRows } from "../session.ts";
import { canBeNotValid } from "./unvalidated-keys.ts";

/** A foreign key that can only be created when the tables that are copied under the lock have their rows. */
export interface LateKey {
  table: string;
  name: string;
  /** As SQL, with names that are not qualified. */
  definition: string;
  partitioned: boolean;
  comment: string | null;
}

/**
 * Reads the foreign keys from tables that are copied under the lock to replicated ones. TRUNCATE … CASCADE empties both on
 * the source, but only the replicated one is sent: on the destination, the key would make that fail.
 */
export async function readLateKeys(
  client: ClientBase,
  schema: string,
  lockedCopies: readonly string[],
): Promise<LateKey[]> {
  if (lockedCopies.length === 0) return [];
  try {
    return await lastRows<LateKey>(
      client,
      // Names of the schema are not qualified then: by now, it may have another one than its copy.
      `BEGIN READ ONLY; SET LOCAL search_path = ${ident(schema)};
       WITH RECURSIVE late(oid) AS (
         SELECT c.oid FROM pg_class c
         WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ${literal(schema)})
           AND c.relkind = 'r' AND c.relname = ANY (ARRAY[${lockedCopies.map(literal).join(", ")}])
         UNION
         SELECT h.inhparent FROM late JOIN pg_inherits h ON h.inhrelid = late.oid
         JOIN pg_class p ON p.oid = h.inhparent AND p.relkind = 'p'
       )
       SELECT c.relname AS table, k.conname AS name, pg_get_constraintdef(k.oid) AS definition,
         c.relkind = 'p' AS partitioned, obj_description(k.oid, 'pg_constraint') AS comment
       FROM late
       JOIN pg_class c USING (oid)
       JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0
       JOIN pg_class r ON r.oid = k.confrelid
       WHERE r.relkind = 'p' OR r.oid NOT IN (SELECT oid FROM late)
       ORDER BY 1, 2`,
    );
  } finally {
    await client.query("ROLLBACK").catch(() => undefined);
  }
}

/** The statements that create the keys in a transaction; like all others, they are not validated where that can be had. */
export function lateKeysSql(schema: string, keys: readonly LateKey[], serverMajor: number): string[] {
  if (keys.length === 0) return [];
  const create = ({ table, name, definition, partitioned, comment }: LateKey): string[] => {
    const defer = canBeNotValid(serverMajor, partitioned) && !/ NOT (VALID|ENFORCED)$/.test(definition);
    const [on, key] = [ident(table), ident(name)];
    return [
      `ALTER TABLE ${on} ADD CONSTRAINT ${key} ${definition}${defer ? " NOT VALID" : ""}`,
      ...(comment === null ? [] : [`COMMENT ON CONSTRAINT ${key} ON ${on} IS ${literal(comment)}`]),
    ];
  };
  return [
    `SET LOCAL search_path = ${ident(schema)}`,
    ...keys.flatMap(create),
    "SET LOCAL search_path TO DEFAULT",
  ];
}
