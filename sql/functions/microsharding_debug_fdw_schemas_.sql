CREATE OR REPLACE FUNCTION microsharding_debug_fdw_schemas_(
  dst_prefix text
) RETURNS regnamespace[]
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
  SELECT COALESCE(array_agg(oid::regnamespace ORDER BY nspname), '{}')
  FROM pg_namespace
  WHERE starts_with(nspname::text, dst_prefix || '_')
    AND microsharding_debug_mark_(obj_description(oid, 'pg_namespace'))
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_schemas_(text)
  IS 'Returns the schemas that microsharding_debug_fdw_create() created with this prefix, one per shard.';
