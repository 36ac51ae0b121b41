CREATE OR REPLACE FUNCTION microsharding_debug_fdw_drop_schemas_(
  schemas regnamespace[]
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  dst_schema regnamespace;
  relation text;
BEGIN
  -- One by one and never CASCADE, so that what somebody built upon them is an error and not gone.
  FOR relation IN
    SELECT DISTINCT r.ev_class::regclass::text
    FROM pg_class c
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid
    WHERE c.relnamespace = ANY (schemas) AND microsharding_debug_mark_(obj_description(r.ev_class, 'pg_class'))
  LOOP
    EXECUTE format('DROP VIEW %s', relation);
  END LOOP;
  FOREACH dst_schema IN ARRAY schemas LOOP
    FOR relation IN SELECT oid::regclass::text FROM pg_class WHERE relnamespace = dst_schema AND relkind = 'f' LOOP
      EXECUTE format('DROP FOREIGN TABLE %s', relation);
    END LOOP;
    EXECUTE format('DROP SCHEMA %s', dst_schema);
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_drop_schemas_(regnamespace[])
  IS 'Drops foreign shard schemas with their foreign tables and the debug views built on these.';
