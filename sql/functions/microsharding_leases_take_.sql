CREATE OR REPLACE FUNCTION microsharding_leases_take_(
  shards text[],
  wanted text,
  workflow text,
  run text,
  seconds integer
) RETURNS TABLE (
  schema_name text,
  workflow_id text,
  run_id text,
  kind text,
  expired boolean
)
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
  -- Two that find the same shard free must not both take it.
  SELECT pg_advisory_xact_lock(hashtext('microsharding leases'), hashtext(current_schema()));

  INSERT INTO microsharding_leases_(schema_name, run_id, workflow_id, kind, expires_at)
  SELECT name, run, workflow, wanted, clock_timestamp() + make_interval(secs => seconds)
  FROM unnest(shards) AS name
  WHERE NOT EXISTS (
    SELECT FROM microsharding_leases_ l
    WHERE l.schema_name = name AND l.run_id <> run AND 'schema change' IN (l.kind, wanted)
  )
  ON CONFLICT ON CONSTRAINT microsharding_leases__pkey DO UPDATE SET expires_at = EXCLUDED.expires_at;

  SELECT l.schema_name, l.workflow_id, l.run_id, l.kind, l.expires_at < clock_timestamp()
  FROM microsharding_leases_ l
  WHERE l.schema_name = ANY (shards) AND l.run_id <> run AND 'schema change' IN (l.kind, wanted)
  ORDER BY l.schema_name, l.run_id
$$;

COMMENT ON FUNCTION microsharding_leases_take_(text[], text, text, text, integer)
  IS 'Takes or renews the leases of the shards that are free for this run of a workflow (wanted: replication or '
     'schema change), and returns the leases that are in the way of the others.';
