CREATE OR REPLACE FUNCTION microsharding_do_on_each(
  cmd text,
  OUT shard regnamespace,
  OUT row_count text
) RETURNS SETOF record
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  global_shard text := quote_ident(microsharding_schema_name_(0));
BEGIN
  FOREACH shard IN ARRAY microsharding_list_active_shards() LOOP
    CONTINUE WHEN shard::text = global_shard;
    BEGIN
      -- Local to this function, because the function has a search_path of its own: at the end, also by an error,
      -- the caller's is back. A regnamespace comes as text with the quotes that it needs.
      PERFORM set_config('search_path', shard::text || ', public', true);
      EXECUTE cmd;
      GET DIAGNOSTICS row_count = ROW_COUNT;
      row_count := COALESCE(NULLIF(row_count, '0'), '');
    EXCEPTION
      WHEN OTHERS THEN
        RAISE NOTICE 'the error below is of shard %', shard;
        RAISE;
    END;
    RETURN NEXT;
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_do_on_each(text)
  IS 'Runs an SQL statement in each active shard except shard 0, with search_path set to the shard and public, and '
     'returns how many rows it touched there (nothing for 0). One failure rolls back everything.';
