CREATE OR REPLACE FUNCTION microsharding_migration_after(
  hosts text = NULL
) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  dst_prefix CONSTANT text := 'microsharding_debug';
  servers text[] := ARRAY(
    SELECT server FROM microsharding_debug_fdw_sync_(dst_prefix, string_to_array(hosts, ','), microsharding_island_())
  );
  server text;
BEGIN
  FOR server IN
    SELECT srvname FROM pg_foreign_server
    WHERE starts_with(srvname::text, dst_prefix || '_') AND srvname <> ALL (servers)
      AND microsharding_debug_mark_(obj_description(oid, 'pg_foreign_server'))
  LOOP
    PERFORM microsharding_debug_fdw_drop_server_(server);
  END LOOP;
  RETURN QUERY SELECT microsharding_debug_views_create('public', dst_prefix);
END;
$$;

COMMENT ON FUNCTION microsharding_migration_after(text)
  IS 'Creates the debug views public.<table>, or brings them up to date, and returns those that changed. Each shows a '
     'table over all active shards of this database; with hosts (''host1,host2:5433'') over those of these hosts, too, '
     'each read through a foreign server. Not for production traffic.';
