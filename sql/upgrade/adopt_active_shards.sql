-- pg-microsharding keeps the active shards as a constant in the body of microsharding_active_shards_(). Where that is
-- what is installed, be it from before the first upgrade or because its own up-file was run over ours, the constant is
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
  -- Changes nothing that matters, but holds the function's row: an activation by the old tool, which replaces this
  -- function, either is over now or fails, and cannot get lost between reading and replacing.
  EXECUTE format('ALTER FUNCTION %s STABLE', constant);
  EXECUTE format('SELECT %I.microsharding_active_shards_()', current_schema()) INTO active;
  DELETE FROM microsharding_active_;
  -- The constant may still name schemas that are gone; one created later by such a name is not to be born active.
  INSERT INTO microsharding_active_(schema_name) SELECT nspname FROM pg_namespace WHERE nspname = ANY (active);
  -- In this transaction, too. The function's own file follows and says the same.
  EXECUTE $sql$
    CREATE OR REPLACE FUNCTION microsharding_active_shards_() RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path FROM CURRENT
    AS $body$ SELECT COALESCE(array_agg(schema_name), '{}') FROM microsharding_active_ $body$
  $sql$;
END;
$$;
