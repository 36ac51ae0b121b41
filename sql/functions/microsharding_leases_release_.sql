CREATE OR REPLACE FUNCTION microsharding_leases_release_(
  run text
) RETURNS integer
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
  WITH released AS (
    DELETE FROM microsharding_leases_ WHERE run_id = run RETURNING 1
  )
  SELECT count(*)::integer FROM released
$$;

COMMENT ON FUNCTION microsharding_leases_release_(text)
  IS 'Releases the leases that a run of a workflow holds in this database, and returns how many there were.';
