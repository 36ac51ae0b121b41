-- Dynamic SQL, because the table is in the global shard, which moves between islands: on an island without it, the result
-- is the error after which an application looks up again where a shard is.
CREATE OR REPLACE FUNCTION microsharding_tenant_shard(
  tenant text
) RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
  global_shard text := microsharding_schema_name_(0);
  shard integer;
BEGIN
  -- A half-made copy of the global shard has the table, too, but not yet all of its rows.
  IF NOT EXISTS (SELECT FROM microsharding_active_ WHERE schema_name = global_shard) THEN
    RAISE EXCEPTION 'the global shard % is not active in this database', global_shard
      USING ERRCODE = 'undefined_table', HINT = 'Ask the island on which microsharding_list_active_shards() has it.';
  END IF;
  EXECUTE format('SELECT t.shard FROM %I.microsharding_tenants_ t WHERE t.tenant = $1', global_shard)
    INTO shard USING tenant;
  RETURN shard;
END;
$$;

COMMENT ON FUNCTION microsharding_tenant_shard(text)
  IS 'Returns the number of the shard to which a tenant is assigned; NULL for an unknown tenant. Works in the database '
     'in which the global shard (shard 0) is active; elsewhere it fails with undefined_table (42P01).';
