CREATE OR REPLACE FUNCTION microsharding_debug_fdw_open_(
  server text
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  EXECUTE format(
    $sql$
      CREATE FOREIGN TABLE microsharding_debug_remote_(
        island text, replica boolean, shard text, table_name text, column_names text[], column_types text[]
      ) SERVER %I OPTIONS (schema_name %L, table_name 'microsharding_debug_catalog_')
    $sql$,
    server, current_schema()
  );
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_open_(text)
  IS 'Makes the foreign table microsharding_debug_remote_, through which the catalog of another island is read; '
     'the caller drops it in the same transaction.';
