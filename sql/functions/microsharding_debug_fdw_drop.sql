CREATE OR REPLACE FUNCTION microsharding_debug_fdw_drop(
  dst_prefix text
) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  server text;
BEGIN
  PERFORM microsharding_debug_fdw_drop_schemas_(microsharding_debug_fdw_schemas_(dst_prefix));
  FOR server IN
    SELECT srvname FROM pg_foreign_server
    WHERE starts_with(srvname::text, dst_prefix || '_')
      AND microsharding_debug_mark_(obj_description(oid, 'pg_foreign_server'))
    ORDER BY srvname
  LOOP
    PERFORM microsharding_debug_fdw_drop_server_(server);
    RETURN NEXT server;
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_drop(text)
  IS 'Drops what microsharding_debug_fdw_create() created with this prefix, with the debug views built on it, and '
     'returns the names of the foreign servers.';
