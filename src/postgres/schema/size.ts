/**
 * The size of a shard, everywhere: what its tables and materialized views take on disk with their indexes and TOAST, by
 * pg_total_relation_size. An SQL aggregate over the relations that `sizedRelationsSql` joins.
 */
export const SIZE_SQL = "coalesce(sum(pg_total_relation_size(c.oid)), 0)";

/**
 * Joins these relations, as `c`; `schema` is an SQL expression for the OID of a schema. A join, because no index of pg_class
 * finds the relations of a schema: a subquery would read all of pg_class for each of thousands of schemas.
 */
export const sizedRelationsSql = (schema: string): string =>
  `LEFT JOIN pg_class c ON c.relnamespace = ${schema} AND c.relkind IN ('r', 'p', 'm')`;
