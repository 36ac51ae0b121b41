DO $$
DECLARE
  other text;
  outdated regprocedure;
BEGIN
  IF current_schema() IS NULL THEN
    RAISE EXCEPTION 'search_path (%) contains no existing schema to install into', current_setting('search_path')
      USING ERRCODE = 'invalid_schema_name', HINT = 'Run CREATE SCHEMA microsharding; SET search_path TO microsharding;';
  END IF;

  SELECT pronamespace::regnamespace INTO other FROM pg_proc
  WHERE proname = 'microsharding_list_active_shards' AND pronargs = 0
    AND pronamespace <> quote_ident(current_schema())::regnamespace;
  IF FOUND THEN
    RAISE WARNING 'the SQL API is also installed in schema %, with a list of active shards of its own', other
      USING HINT = 'The application must ask only one of them: remove the other with pg-microsharding-down.sql.';
  END IF;

  -- Two installations at once would fail with "tuple concurrently updated". The lock is held until the end of the
  -- transaction, so it protects installations that run in one.
  PERFORM pg_advisory_xact_lock(hashtext('microsharding install'), hashtext(current_schema()));

  -- CREATE OR REPLACE cannot change the parameters or the result of a function, and a function with other parameters
  -- would stay beside the new one and make calls ambiguous. So functions with one of our names, but not our signature,
  -- are dropped; if somebody's views use one, the upgrade stops instead (no CASCADE).
  FOR outdated IN
    SELECT p.oid::regprocedure
    FROM pg_proc p
    JOIN (
      VALUES
        ('microsharding_active_shards_', '', 'text[]'),
        ('microsharding_debug_fdw_create', 'dst_prefix text, src_hosts text[]', 'TABLE(server text, shard_count integer)'),
        ('microsharding_debug_fdw_drop', 'dst_prefix text', 'SETOF text'),
        ('microsharding_debug_fdw_schemas_', 'dst_prefix text', 'regnamespace[]'),
        ('microsharding_debug_views_create',
          'dst_schema text DEFAULT ''public''::text, fdw_dst_prefix text DEFAULT NULL::text', 'SETOF text'),
        ('microsharding_debug_views_drop', 'dst_schema text DEFAULT ''public''::text', 'SETOF text'),
        ('microsharding_do_on_each', 'cmd text, OUT shard regnamespace, OUT row_count text', 'SETOF record'),
        ('microsharding_ensure_absent', 'shard_from integer, shard_to integer DEFAULT NULL::integer', 'SETOF text'),
        ('microsharding_ensure_active', 'shard_from integer, shard_to integer DEFAULT NULL::integer', 'SETOF regnamespace'),
        ('microsharding_ensure_exist', 'shard_from integer, shard_to integer DEFAULT NULL::integer', 'SETOF regnamespace'),
        ('microsharding_ensure_inactive', 'shard_from integer, shard_to integer DEFAULT NULL::integer', 'SETOF regnamespace'),
        ('microsharding_list_active_shards', '', 'regnamespace[]'),
        ('microsharding_migration_after', 'hosts text DEFAULT NULL::text', 'SETOF text'),
        ('microsharding_migration_before', '', 'SETOF text')
    ) AS ours(name, arguments, result) ON ours.name = p.proname
    WHERE p.pronamespace = quote_ident(current_schema())::regnamespace
      AND (pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)) IS DISTINCT FROM (ours.arguments, ours.result)
  LOOP
    EXECUTE format('DROP ROUTINE %s', outdated);
  END LOOP;
END;
$$;
