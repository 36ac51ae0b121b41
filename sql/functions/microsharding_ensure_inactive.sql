CREATE OR REPLACE FUNCTION microsharding_ensure_inactive(
  shard_from integer,
  shard_to integer = NULL
) RETURNS SETOF regnamespace
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  shards text[] := ARRAY(SELECT microsharding_schema_names_(shard_from, shard_to));
BEGIN
  -- The order keeps two sessions with overlapping ranges from waiting for each other. Only what was locked in it is
  -- deleted: a second statement would see, and lock out of order, what others have activated meanwhile.
  RETURN QUERY
    WITH locked AS (
      SELECT schema_name FROM microsharding_active_ WHERE schema_name = ANY (shards) ORDER BY schema_name FOR UPDATE
    ),
    deactivated AS (
      DELETE FROM microsharding_active_ AS active USING locked
      WHERE active.schema_name = locked.schema_name
      RETURNING active.schema_name
    )
    SELECT n.oid::regnamespace
    FROM unnest(shards) WITH ORDINALITY AS shard(name, position)
    JOIN deactivated ON deactivated.schema_name = shard.name
    JOIN pg_namespace n ON n.nspname = shard.name
    ORDER BY shard.position;
END;
$$;

COMMENT ON FUNCTION microsharding_ensure_inactive(integer, integer)
  IS 'Deactivates those of the shards shard_from..shard_to (inclusive) that are active, and returns them.';
