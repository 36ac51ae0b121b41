CREATE OR REPLACE FUNCTION microsharding_debug_views_drop(
  dst_schema text = 'public'
) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  view_name text;
BEGIN
  FOR view_name IN
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = dst_schema AND c.relkind = 'v' AND microsharding_debug_mark_(obj_description(c.oid, 'pg_class'))
    ORDER BY c.relname
  LOOP
    EXECUTE format('DROP VIEW %s', view_name);
    RETURN NEXT view_name;
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_views_drop(text)
  IS 'Drops the debug views in dst_schema and returns their names. Never drops what somebody has built on them.';
