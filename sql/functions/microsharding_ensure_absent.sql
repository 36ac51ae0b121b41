CREATE OR REPLACE FUNCTION microsharding_ensure_absent(
  shard_from integer,
  shard_to integer = NULL
) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  shards text[] := ARRAY(SELECT microsharding_schema_names_(shard_from, shard_to));
  shard text;
BEGIN
  FOREACH shard IN ARRAY shards LOOP
    IF EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = shard) THEN
      -- Never CASCADE: a shard with anything in it fails here, and takes back the drops before it.
      EXECUTE format('DROP SCHEMA %I', shard);
      RETURN NEXT shard;
    END IF;
  END LOOP;
  DELETE FROM microsharding_active_ WHERE schema_name = ANY (shards);
END;
$$;

COMMENT ON FUNCTION microsharding_ensure_absent(integer, integer)
  IS 'Drops the shards (schemas) in the range shard_from..shard_to (inclusive), which must be EMPTY, and returns '
     'their names. If one of them is not empty, none is dropped.';
