-- The candidates come in order of preference; which of them are free is decided here, under a lock that keeps out
-- other assignments and pins, but not readers. So two assignments of the same tenant get the same answer.
CREATE OR REPLACE FUNCTION microsharding_tenant_assign_(
  new_tenant text,
  candidates integer[],
  pin boolean = false
) RETURNS integer
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  tenants regclass := microsharding_tenants_ensure_();
  known record;
  chosen integer;
  others bigint;
BEGIN
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', tenants);
  EXECUTE format('SELECT shard, pinned FROM %s WHERE tenant = $1', tenants) INTO known USING new_tenant;
  IF known.shard IS NOT NULL AND NOT pin THEN
    RETURN known.shard;
  END IF;
  IF known.shard IS NOT NULL THEN
    EXECUTE format('SELECT count(*) FROM %s WHERE shard = $1 AND tenant <> $2', tenants)
      INTO others USING known.shard, new_tenant;
    IF others > 0 THEN
      RAISE EXCEPTION 'tenant % shares shard % with % others, and its rows stay where they are', new_tenant, known.shard, others
        USING ERRCODE = 'object_in_use';
    END IF;
    EXECUTE format('UPDATE %s SET pinned = true WHERE tenant = $1', tenants) USING new_tenant;
    RETURN known.shard;
  END IF;
  EXECUTE format(
    'SELECT c.shard FROM unnest($1) WITH ORDINALITY AS c(shard, place)
     WHERE NOT EXISTS (SELECT FROM %s t WHERE t.shard = c.shard AND (t.pinned OR $2))
     ORDER BY c.place LIMIT 1', tenants)
    INTO chosen USING candidates, pin;
  IF chosen IS NULL THEN
    RAISE EXCEPTION 'no shard is free for tenant %', new_tenant
      USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'A pinned tenant needs a shard without tenants, any other one that is not pinned: allocate new shards.';
  END IF;
  EXECUTE format('INSERT INTO %s (tenant, shard, pinned) VALUES ($1, $2, $3)', tenants) USING new_tenant, chosen, pin;
  RETURN chosen;
END;
$$;

COMMENT ON FUNCTION microsharding_tenant_assign_(text, integer[], boolean)
  IS 'Assigns a tenant to the first of the candidates that is not pinned, or with pin to the first that has no tenants, '
     'and returns the shard; that of a known tenant stays, and can be pinned if it has no other tenants.';
