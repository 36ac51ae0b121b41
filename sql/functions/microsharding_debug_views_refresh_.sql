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

  SELECT string_agg(format('%s:%s/%s',
    CASE WHEN o.options ->> 'host' LIKE '%:%' THEN format('[%s]', o.options ->> 'host') ELSE o.options ->> 'host' END,
    o.options ->> 'port', o.options ->> 'dbname'), ',')
  INTO hosts
  FROM pg_foreign_server s,
    LATERAL (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(s.srvoptions)) AS o(options)
  WHERE starts_with(s.srvname::text, 'microsharding_debug_')
    AND microsharding_debug_mark_(obj_description(s.oid, 'pg_foreign_server'));
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
  RETURN QUERY SELECT microsharding_debug_views_create('public', 'microsharding_debug');
END;
$$;

COMMENT ON FUNCTION microsharding_debug_views_refresh_()
  IS 'Brings existing debug views up to date with the active shards; for use on both islands after a move. Without '
     'it, the views would go on reading the renamed old copy, and it could not be dropped.';
