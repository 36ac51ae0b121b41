CREATE OR REPLACE FUNCTION microsharding_debug_views_create(
  dst_schema text = 'public',
  fdw_dst_prefix text = NULL
) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  dst regnamespace := quote_ident(dst_schema)::regnamespace;
  view record;
  view_name text;
  mark text;
  wanted text[] := '{}';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('microsharding debug views'), 0);

  FOR view IN
    SELECT d.*, c.oid, c.relkind, obj_description(c.oid, 'pg_class') AS mark
    FROM microsharding_debug_view_definitions_(fdw_dst_prefix) d
    LEFT JOIN pg_class c ON c.relnamespace = dst AND c.relname = d.table_name
    ORDER BY d.table_name
  LOOP
    wanted := wanted || view.table_name;
    view_name := format('%I.%I', dst_schema, view.table_name);
    mark := 'microsharding:' || view.hash;
    CONTINUE WHEN view.mark = mark;
    IF (view.oid IS NOT NULL AND NOT (view.relkind = 'v' AND microsharding_debug_mark_(view.mark)))
      OR (view.oid IS NULL AND EXISTS (
        SELECT 1 FROM pg_type WHERE typnamespace = dst AND typname = view.table_name AND typcategory <> 'A'
      ))
    THEN
      RAISE NOTICE '% exists and is not a debug view: left as it is', view_name;
      CONTINUE;
    END IF;

    BEGIN
      EXECUTE format('CREATE OR REPLACE VIEW %s %s', view_name, view.definition);
    EXCEPTION
      WHEN invalid_table_definition THEN
        -- Columns have come or gone. What somebody built upon the view stops it here (no CASCADE).
        EXECUTE format('DROP VIEW %s', view_name);
        EXECUTE format('CREATE VIEW %s %s', view_name, view.definition);
    END;
    EXECUTE format('COMMENT ON VIEW %s IS %L', view_name, mark);
    RETURN NEXT view_name;
  END LOOP;

  -- Views of tables that no active shard has any more.
  FOR view_name IN
    SELECT format('%I.%I', dst_schema, relname) FROM pg_class
    WHERE relnamespace = dst AND relkind = 'v' AND relname <> ALL (wanted)
      AND microsharding_debug_mark_(obj_description(oid, 'pg_class'))
  LOOP
    EXECUTE format('DROP VIEW %s', view_name);
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_views_create(text, text)
  IS 'Brings the debug views in dst_schema up to date, one for each table of the active shards, and returns those that '
     'it had to create or replace. With fdw_dst_prefix they also read the shards of other servers, from the schemas '
     'that microsharding_debug_fdw_create() created.';
