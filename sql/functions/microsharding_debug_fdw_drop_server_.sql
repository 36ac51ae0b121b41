CREATE OR REPLACE FUNCTION microsharding_debug_fdw_drop_server_(
  server text
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  usename text;
BEGIN
  PERFORM microsharding_debug_fdw_drop_schemas_(ARRAY(
    SELECT oid::regnamespace FROM pg_namespace
    WHERE obj_description(oid, 'pg_namespace') = 'microsharding:' || server
  ));
  FOR usename IN SELECT m.usename FROM pg_user_mappings m WHERE m.srvname = server LOOP
    EXECUTE format(
      'DROP USER MAPPING FOR %s SERVER %I',
      CASE usename WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(usename) END,
      server
    );
  END LOOP;
  EXECUTE format('DROP SERVER %I', server);
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_drop_server_(text)
  IS 'Drops a foreign server created for the debug views, and everything that was created from it.';
