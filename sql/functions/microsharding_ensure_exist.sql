CREATE OR REPLACE FUNCTION microsharding_ensure_exist(
  shard_from integer,
  shard_to integer = NULL
) RETURNS SETOF regnamespace
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  shard text;
BEGIN
  FOR shard IN
    SELECT name FROM microsharding_schema_names_(shard_from, shard_to) AS name
    WHERE NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = name)
  LOOP
    BEGIN
      EXECUTE format('CREATE SCHEMA %I', shard);
      -- Of a schema of the same name that was dropped by hand: a new shard always begins inactive.
      DELETE FROM microsharding_active_ WHERE schema_name = shard;
      RETURN NEXT quote_ident(shard)::regnamespace;
    EXCEPTION
      WHEN duplicate_schema OR unique_violation THEN
        NULL; -- Another session has created it meanwhile.
    END;
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_ensure_exist(integer, integer)
  IS 'Creates, as inactive, the shards (schemas) in the range shard_from..shard_to (inclusive) that do not exist, and '
     'returns them.';
