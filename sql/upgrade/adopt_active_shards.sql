-- pg-microsharding keeps the active shards as a constant in the body of microsharding_active_shards_(). If that version
-- is installed, either from before the first upgrade or because its own up-file was run over ours, the constant is
-- what the application sees, and so it is the truth: the table takes it over.
DO $$
DECLARE
  constant regprocedure := (
    SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = quote_ident(current_schema())::regnamespace
      AND proname = 'microsharding_active_shards_'
      AND prosrc NOT LIKE '%FROM microsharding_active\_%'
  );
  active text[];
BEGIN
  IF constant IS NULL THEN
    RETURN;
  END IF;
  -- Changes nothing that matters, but locks the function's row: an activation by the old tool, which replaces this
  -- function, has either finished by now or fails, and cannot get lost between reading and replacing.
  EXECUTE format('ALTER FUNCTION %s STABLE', constant);
  EXECUTE format('SELECT %I.microsharding_active_shards_()', current_schema()) INTO active;
  DELETE FROM microsharding_active_;
  -- The constant may still name schemas that are gone; a schema created later under such a name must not be active.
  INSERT INTO microsharding_active_(schema_name) SELECT nspname FROM pg_namespace WHERE nspname = ANY (active);
  -- Now, in this same transaction. The function's own file follows and defines the same.
  EXECUTE $sql$
    CREATE OR REPLACE FUNCTION microsharding_active_shards_() RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path FROM CURRENT
    AS $body$ SELECT COALESCE(array_agg(schema_name), '{}') FROM microsharding_active_ $body$
  $sql$;
END;
$$;
