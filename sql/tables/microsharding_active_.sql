-- One row per shard: sessions that switch different shards write different rows, so they neither wait for each other nor
-- lose each other's changes. Names, not OIDs: OIDs change in pg_upgrade and when a dump of the database is restored.
DO $$
BEGIN
  -- Looked up instead of IF NOT EXISTS, which would print a NOTICE at each upgrade.
  IF to_regclass(format('%I.microsharding_active_', current_schema())) IS NULL THEN
    CREATE TABLE microsharding_active_(
      schema_name text PRIMARY KEY,
      activated_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
  END IF;
END;
$$;

GRANT SELECT ON microsharding_active_ TO PUBLIC;

COMMENT ON TABLE microsharding_active_
  IS 'The shards that are active in this database, one row per schema. Written by microsharding_ensure_active() and '
     'microsharding_ensure_inactive(); read through microsharding_list_active_shards().';
