-- Takes the same lock as an assignment, so that each sees all of the other's work or none of it.
CREATE OR REPLACE FUNCTION microsharding_tenant_unpin_(
  pinned_tenant text
) RETURNS integer
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  tenants regclass := microsharding_tenants_ensure_();
  shard integer;
BEGIN
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', tenants);
  EXECUTE format('UPDATE %s AS t SET pinned = false WHERE t.tenant = $1 RETURNING t.shard', tenants)
    INTO shard USING pinned_tenant;
  RETURN shard;
END;
$$;

COMMENT ON FUNCTION microsharding_tenant_unpin_(text)
  IS 'Opens the shard of a pinned tenant to other tenants again, and returns that shard; NULL for an unknown tenant. '
     'Does nothing if the tenant is not pinned.';
