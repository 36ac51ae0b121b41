CREATE OR REPLACE VIEW microsharding_debug_catalog_ AS
SELECT
  microsharding_island_() AS island,
  pg_is_in_recovery() AS replica,
  n.nspname::text AS shard,
  c.relname::text AS table_name,
  columns.names AS column_names,
  columns.types AS column_types
FROM unnest(microsharding_list_active_shards()) AS active(shard)
JOIN pg_namespace n ON n.oid = active.shard
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
) AS columns ON true;

GRANT SELECT ON microsharding_debug_catalog_ TO PUBLIC;

COMMENT ON VIEW microsharding_debug_catalog_
  IS 'The tables of the active shards of this database, as other islands read them to build their debug views.';
