CREATE OR REPLACE FUNCTION microsharding_active_shards_() RETURNS text[]
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
  SELECT COALESCE(array_agg(schema_name ORDER BY schema_name COLLATE "C"), '{}')
  FROM microsharding_active_
$$;

COMMENT ON FUNCTION microsharding_active_shards_()
  IS 'Returns the names of the shards that are active in this database, whether their schemas exist or not.';
