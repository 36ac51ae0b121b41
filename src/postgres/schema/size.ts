/**
 * The size of a shard, everywhere: what its tables and materialized views take on disk with their indexes and TOAST, by
 * pg_total_relation_size. An SQL expression; `schema` is one for the OID of the schema.
 */
export const sizeSql = (schema: string): string => `(
  SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)
  FROM pg_class c
  WHERE c.relnamespace = ${schema} AND c.relkind IN ('r', 'p', 'm')
)`;
