CREATE OR REPLACE FUNCTION microsharding_debug_fdw_open_(
  server text
) RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  is_here boolean;
BEGIN
  -- Is it this very database? Then another session there sees this one. It must not read our catalog: what this
  -- transaction has locked would keep it waiting for us while we wait for it, which no deadlock detector sees.
  EXECUTE format(
    $sql$
      CREATE FOREIGN TABLE microsharding_debug_remote_(datname name, pid integer, backend_start timestamptz)
      SERVER %I OPTIONS (schema_name 'pg_catalog', table_name 'pg_stat_activity')
    $sql$,
    server
  );
  EXECUTE $sql$
    SELECT EXISTS (
      SELECT FROM microsharding_debug_remote_ remote
      JOIN pg_stat_activity here USING (datname, pid, backend_start)
      WHERE here.pid = pg_backend_pid()
    )
  $sql$ INTO is_here;
  DROP FOREIGN TABLE microsharding_debug_remote_;
  IF is_here AND EXISTS (
    SELECT 1 FROM pg_foreign_server
    WHERE srvname = server AND 'dbname=' || current_database() = ANY (srvoptions)
  ) THEN
    RETURN 'microsharding_debug_catalog_';
  END IF;

  EXECUTE format(
    $sql$
      CREATE FOREIGN TABLE microsharding_debug_remote_(
        island text, replica boolean, shard text, table_name text, column_names text[], column_types text[]
      ) SERVER %I OPTIONS (schema_name %L, table_name 'microsharding_debug_catalog_')
    $sql$,
    server, current_schema()
  );
  RETURN 'microsharding_debug_remote_';
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_open_(text)
  IS 'Returns the name of the relation that lists the tables of an island: that of this database itself, or a foreign '
     'table microsharding_debug_remote_ created for it, which the caller drops.';
