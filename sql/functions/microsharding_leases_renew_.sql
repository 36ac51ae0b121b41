CREATE OR REPLACE FUNCTION microsharding_leases_renew_(
  run text,
  seconds integer
) RETURNS integer
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
  WITH renewed AS (
    UPDATE microsharding_leases_ SET expires_at = clock_timestamp() + make_interval(secs => seconds)
    WHERE run_id = run
    RETURNING 1
  )
  SELECT count(*)::integer FROM renewed
$$;

COMMENT ON FUNCTION microsharding_leases_renew_(text, integer)
  IS 'Renews the leases that a run of a workflow holds in this database, and returns how many there are.';
