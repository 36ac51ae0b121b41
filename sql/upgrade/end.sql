DO $$
DECLARE
  lib text := current_schema();
  func regprocedure;
BEGIN
  -- A function of the old tool that replaced the whole list at once. Nothing calls it any more.
  IF to_regprocedure(format('%I.microsharding_ensure_active_shards_(text[])', lib)) IS NOT NULL THEN
    EXECUTE format('DROP FUNCTION %I.microsharding_ensure_active_shards_(text[])', lib);
  END IF;

  -- SET search_path FROM CURRENT has made the functions independent of the caller's search_path. This also makes them
  -- independent of the installer's, which may have begun with "$user", and of temporary tables.
  FOR func IN
    SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = quote_ident(lib)::regnamespace
      AND proname LIKE 'microsharding\_%'
      AND array_to_string(proconfig, ',') LIKE '%search_path=%'
      AND pg_has_role(proowner, 'USAGE')
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path TO %I, pg_temp', func, lib);
  END LOOP;
END;
$$;
