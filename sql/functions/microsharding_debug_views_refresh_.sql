CREATE OR REPLACE FUNCTION microsharding_debug_views_refresh_() RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  hosts text;
BEGIN
  -- Who does not use debug views, or is between microsharding_migration_before() and _after(), gets none.
  PERFORM FROM pg_class
  WHERE relnamespace = to_regnamespace('public') AND relkind = 'v'
    AND microsharding_debug_mark_(obj_description(oid, 'pg_class'));
  IF NOT FOUND THEN
    RETURN;
  END IF;

  -- The hosts, as they were given to microsharding_migration_after().
  SELECT string_agg(split_part(obj_description(oid, 'pg_foreign_server'), ' ', 2), ',') INTO hosts
  FROM pg_foreign_server
  WHERE starts_with(srvname::text, 'microsharding_debug_')
    AND microsharding_debug_mark_(obj_description(oid, 'pg_foreign_server'));
  BEGIN
    RETURN QUERY SELECT microsharding_migration_after(hosts);
    RETURN;
  EXCEPTION
    WHEN OTHERS THEN
      IF hosts IS NULL THEN
        RAISE;
      END IF;
      RAISE WARNING 'the debug views lack changes of other islands: %', SQLERRM;
  END;
  -- What is active here now was elsewhere when its foreign tables were made.
  PERFORM microsharding_debug_fdw_drop_schemas_(ARRAY(
    SELECT foreign_shard
    FROM unnest(microsharding_list_active_shards()) AS active(shard)
    JOIN pg_namespace n ON n.oid = active.shard
    JOIN unnest(microsharding_debug_fdw_schemas_('microsharding_debug')) AS made(foreign_shard)
      ON made.foreign_shard = to_regnamespace(quote_ident('microsharding_debug_' || n.nspname))
  ));
  RETURN QUERY SELECT microsharding_debug_views_create('public', 'microsharding_debug');
END;
$$;

COMMENT ON FUNCTION microsharding_debug_views_refresh_()
  IS 'Brings existing debug views up to date with the active shards; for use on both islands after a move. Without '
     'it, the views would lack the shard, and the renamed old copy, on which they depend, could not be dropped.';
