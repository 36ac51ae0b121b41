-- Removes the SQL API, with its debug views, from the first schema in search_path. The shards stay, but none of them is
-- active any more. After that, DROP SCHEMA microsharding works. What the old pg-microsharding has left there is also
-- removed: all functions whose names begin with microsharding_, the prefix of this API.
DO $$
DECLARE
  lib text := current_schema();
  func regprocedure;
BEGIN
  IF to_regprocedure(format('%I.microsharding_migration_before()', lib)) IS NOT NULL THEN
    EXECUTE format('SELECT %I.microsharding_migration_before()', lib);
  END IF;
  IF to_regprocedure(format('%I.microsharding_debug_fdw_drop(text)', lib)) IS NOT NULL THEN
    EXECUTE format('SELECT %I.microsharding_debug_fdw_drop(''microsharding_debug'')', lib);
  END IF;
  EXECUTE format('DROP VIEW IF EXISTS %I.microsharding_debug_catalog_', lib);
  FOR func IN
    SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = quote_ident(lib)::regnamespace AND proname LIKE 'microsharding\_%'
    ORDER BY proname
  LOOP
    EXECUTE format('DROP ROUTINE %s', func);
  END LOOP;
  EXECUTE format(
    'DROP TABLE IF EXISTS %1$I.microsharding_active_, %1$I.microsharding_moves_, %1$I.microsharding_leases_, '
    '%1$I.microsharding_history_', lib
  );
END;
$$;
