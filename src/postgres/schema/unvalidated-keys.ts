import type { ClientBase } from "pg";

/** A foreign key that is NOT VALID: rows from before it may violate it. */
export interface UnvalidatedKey {
  schema: string;
  table: string;
  name: string;
  /** The table that it refers to. */
  refersTo: string;
  /** `key of table`, in SQL. */
  label: string;
  /** The statement that validates it. */
  validateSql: string;
  /** A query for the rows that violate it. */
  rowsSql: string;
}

/** True if a foreign key can be NOT VALID: that of a partitioned table can be so only since PostgreSQL 18. */
export const canBeNotValid = (serverMajor: number, partitioned: boolean): boolean =>
  !partitioned || serverMajor >= 18;

/**
 * Reads the foreign keys of some schemas that are NOT VALID, the smallest tables first. One of a partitioned table stands
 * for those of its partitions; one that is not enforced (18) cannot be validated.
 */
export async function readUnvalidatedKeys(
  client: ClientBase,
  schemas: readonly string[],
): Promise<UnvalidatedKey[]> {
  const { rows } = await client.query<UnvalidatedKey>(
    `SELECT n.nspname AS schema, c.relname AS table, k.conname AS name, r.relname AS "refersTo",
       format('%I of %I', k.conname, c.relname) AS label,
       format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', n.nspname, c.relname, k.conname) AS "validateSql",
       format('SELECT t.* FROM %I.%I t WHERE %s AND NOT EXISTS (SELECT FROM %I.%I r WHERE %s)',
         n.nspname, c.relname, pairs.present, rn.nspname, r.relname, pairs.equal) AS "rowsSql"
     FROM pg_constraint k
     JOIN pg_class c ON c.oid = k.conrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class r ON r.oid = k.confrelid
     JOIN pg_namespace rn ON rn.oid = r.relnamespace
     CROSS JOIN LATERAL (
       SELECT string_agg(format('t.%I IS NOT NULL', a.attname), ' AND ' ORDER BY i) AS present,
         string_agg(format('r.%I = t.%I', b.attname, a.attname), ' AND ' ORDER BY i) AS equal
       FROM unnest(k.conkey, k.confkey) WITH ORDINALITY AS pair(own, other, i)
       JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = own
       JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = other
     ) pairs
     WHERE k.contype = 'f' AND NOT k.convalidated AND n.nspname = ANY ($1)
       AND pg_get_constraintdef(k.oid) !~ ' NOT ENFORCED$'
       AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND NOT p.convalidated)
     ORDER BY n.nspname, c.relpages, c.relname, k.conname`,
    [schemas],
  );
  return rows;
}
