CREATE OR REPLACE FUNCTION microsharding_island_() RETURNS text
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
  SELECT format('%s/%s', (SELECT system_identifier FROM pg_control_system()), oid)
  FROM pg_database
  WHERE datname = current_database()
$$;

COMMENT ON FUNCTION microsharding_island_()
  IS 'Returns what distinguishes this database from all others, whatever host name is used to reach it: '
     'the system identifier of the server and the OID of the database.';
