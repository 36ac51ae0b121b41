-- Which workflow works on the structure of which shard: keeps moves and schema changes apart. Not in the shard itself,
-- since a lease belongs to the place and not to the data.
DO $$
BEGIN
  IF to_regclass(format('%I.microsharding_leases_', current_schema())) IS NULL THEN
    CREATE TABLE microsharding_leases_(
      schema_name text NOT NULL,
      run_id text NOT NULL,
      workflow_id text NOT NULL,
      kind text NOT NULL CHECK (kind IN ('replication', 'schema change')),
      taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      expires_at timestamptz NOT NULL,
      PRIMARY KEY (schema_name, run_id)
    );
  END IF;
END;
$$;

GRANT SELECT ON microsharding_leases_ TO PUBLIC;

COMMENT ON TABLE microsharding_leases_
  IS 'The shards of this database on which a move, a copy or a migration is working, one row per shard and workflow run.';
COMMENT ON COLUMN microsharding_leases_.schema_name IS 'The shard.';
COMMENT ON COLUMN microsharding_leases_.run_id IS 'The run of the workflow that holds the lease.';
COMMENT ON COLUMN microsharding_leases_.workflow_id IS 'The workflow that holds the lease.';
COMMENT ON COLUMN microsharding_leases_.kind
  IS 'replication (moves and copies, which share a shard) or schema change (which shares it with nobody).';
COMMENT ON COLUMN microsharding_leases_.taken_at IS 'When the lease was taken.';
COMMENT ON COLUMN microsharding_leases_.expires_at
  IS 'Until when it is valid if there is no way to know whether the workflow is running; renewed while it works.';
