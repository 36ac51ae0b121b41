CREATE OR REPLACE FUNCTION microsharding_debug_list_() RETURNS TABLE (
  island text,
  replica boolean,
  shard text,
  table_name text,
  column_names text[],
  column_types text[]
)
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
  SELECT
    microsharding_island_(),
    pg_is_in_recovery(),
    n.nspname::text,
    c.relname::text,
    columns.names,
    columns.types
  -- One row at least, so that an island without shards is known as well.
  FROM (VALUES (1)) AS here
  LEFT JOIN unnest(microsharding_list_active_shards()) AS active(shard) ON true
  LEFT JOIN pg_namespace n ON n.oid = active.shard
  LEFT JOIN pg_class c
    ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition
  LEFT JOIN LATERAL (
    SELECT
      array_agg(a.attname::text ORDER BY a.attnum) AS names,
      -- NULL for what another server may not have or may sort differently: types that are not PostgreSQL's own (their
      -- OIDs begin at 10000) and collations other than the default one.
      array_agg(
        CASE WHEN a.atttypid < 10000 AND a.attcollation IN (0, 100) THEN format_type(a.atttypid, -1) END ORDER BY a.attnum
      ) AS types
    FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS columns ON true
$$;

COMMENT ON FUNCTION microsharding_debug_list_()
  IS 'Lists the tables of the active shards with their columns, for microsharding_debug_catalog_.';
