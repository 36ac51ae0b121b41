CREATE OR REPLACE FUNCTION microsharding_tenants_ensure_() RETURNS regclass
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  global_shard text := microsharding_schema_name_(0);
  tenants text := format('%I.microsharding_tenants_', global_shard);
BEGIN
  IF NOT EXISTS (SELECT FROM microsharding_active_ WHERE schema_name = global_shard) THEN
    RAISE EXCEPTION 'the global shard % is not active in this database', global_shard
      USING ERRCODE = 'undefined_table';
  END IF;
  -- Two sessions at once would both create it.
  PERFORM pg_advisory_xact_lock(hashtext('microsharding tenants'), 0);
  IF to_regclass(tenants) IS NULL THEN
    EXECUTE format(
      'CREATE TABLE %s (
         tenant text PRIMARY KEY CHECK (tenant <> ''''),
         shard integer NOT NULL CHECK (shard > 0),
         pinned boolean NOT NULL DEFAULT false,
         assigned_at timestamptz NOT NULL DEFAULT clock_timestamp()
       )', tenants);
    EXECUTE format('CREATE INDEX microsharding_tenants_shard_ ON %s (shard)', tenants);
    -- A pinned tenant has its shard for itself.
    EXECUTE format('CREATE UNIQUE INDEX microsharding_tenants_pinned_ ON %s (shard) WHERE pinned', tenants);
    EXECUTE format('GRANT SELECT ON %s TO PUBLIC', tenants);
  END IF;
  RETURN tenants::regclass;
END;
$$;

COMMENT ON FUNCTION microsharding_tenants_ensure_()
  IS 'Creates the lookup table of tenants in the global shard unless it exists, and returns it. It moves with the '
     'shard.';
