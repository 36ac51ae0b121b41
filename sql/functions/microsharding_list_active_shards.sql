CREATE OR REPLACE FUNCTION microsharding_list_active_shards() RETURNS regnamespace[]
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
  SELECT COALESCE(array_agg(n.oid::regnamespace ORDER BY n.nspname), '{}')
  FROM unnest(microsharding_active_shards_()) AS active(schema_name)
  JOIN pg_namespace n ON n.nspname::text = active.schema_name
$$;

COMMENT ON FUNCTION microsharding_list_active_shards()
  IS 'Returns the active shards (schemas) of this database, sorted by name. A schema that was created, or restored '
     'from a dump, is not among them until microsharding_ensure_active() activates it.';
