CREATE OR REPLACE FUNCTION microsharding_schema_names_(
  shard_from integer,
  shard_to integer
) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
  -- A larger range is a slip of the keyboard: PostgreSQL gets slow with far fewer schemas.
  max_shards CONSTANT integer := 100000;
BEGIN
  shard_to := COALESCE(shard_to, shard_from);
  IF shard_from IS NULL OR shard_from < 0 OR shard_from > shard_to THEN
    RAISE EXCEPTION 'invalid range of shards: from % to %', COALESCE(shard_from::text, 'NULL'), COALESCE(shard_to::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value', HINT = 'shard_from must be 0 or more, and shard_to not less than it.';
  END IF;
  IF shard_to - shard_from >= max_shards THEN
    RAISE EXCEPTION 'the range of shards from % to % has more than % shards', shard_from, shard_to, max_shards
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN QUERY SELECT microsharding_schema_name_(n) FROM generate_series(shard_from, shard_to) AS n ORDER BY n;
END;
$$;

COMMENT ON FUNCTION microsharding_schema_names_(integer, integer)
  IS 'Checks the range shard_from..shard_to (inclusive) and returns the names of its shards in order.';
