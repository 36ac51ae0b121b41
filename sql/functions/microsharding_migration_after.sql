CREATE OR REPLACE FUNCTION microsharding_migration_after(
  hosts text = NULL
) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  dst_prefix CONSTANT text := 'microsharding_debug';
BEGIN
  IF to_regnamespace('public') IS NULL THEN
    RAISE NOTICE 'there is no schema public, in which debug views are created: none were';
    RETURN;
  END IF;
  PERFORM microsharding_debug_fdw_sync_(
    dst_prefix,
    string_to_array(hosts, ','),
    CASE WHEN hosts <> '' THEN microsharding_island_() ELSE '' END
  );
  RETURN QUERY SELECT microsharding_debug_views_create('public', dst_prefix);
END;
$$;

COMMENT ON FUNCTION microsharding_migration_after(text)
  IS 'Creates the debug views public.<table>, or brings them up to date, and returns those that changed. Each shows a '
     'table across all active shards of this database; with hosts (''host1,host2:5433''), also across the active shards '
     'of these hosts, which it reads through foreign servers. Not for production traffic.';
