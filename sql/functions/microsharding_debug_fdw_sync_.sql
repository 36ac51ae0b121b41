CREATE OR REPLACE FUNCTION microsharding_debug_fdw_sync_(
  dst_prefix text,
  src_hosts text[],
  own_island text
) RETURNS TABLE (
  server text,
  shard_count integer
)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  src_host text;
  remote record;
  mark text;
  islands text[] := ARRAY[own_island];
  servers text[] := '{}';
  changed text[] := '{}';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('microsharding debug views'), 0);

  FOR src_host IN SELECT DISTINCT trim(host) FROM unnest(src_hosts) AS host WHERE trim(host) <> '' LOOP
    server := microsharding_debug_fdw_server_(dst_prefix, src_host);
    IF server = ANY (servers) THEN
      RAISE EXCEPTION 'two hosts would both be called %', server USING ERRCODE = 'duplicate_object';
    END IF;
    servers := servers || server;

    PERFORM microsharding_debug_fdw_open_(server);
    BEGIN
      EXECUTE $sql$
        SELECT
          COALESCE(md5(string_agg(r::text, ',' ORDER BY shard, table_name)), '') AS hash,
          max(island) AS island,
          COALESCE(bool_or(replica), false) AS is_replica,
          count(DISTINCT shard)::integer AS shard_count
        FROM microsharding_debug_remote_ r
      $sql$ INTO remote;
    EXCEPTION
      WHEN undefined_table OR invalid_schema_name THEN
        RAISE EXCEPTION 'the SQL API of this version is not installed in schema % of %', current_schema(), src_host
          USING ERRCODE = SQLSTATE, DETAIL = SQLERRM, HINT = 'Run "shardferry install" for all islands.';
    END;
    DROP FOREIGN TABLE microsharding_debug_remote_;

    IF remote.is_replica OR remote.island = ANY (islands) THEN
      PERFORM microsharding_debug_fdw_drop_server_(server);
      CONTINUE;
    END IF;
    islands := islands || remote.island;
    mark := 'microsharding:' || remote.hash;
    IF mark IS DISTINCT FROM (SELECT obj_description(oid, 'pg_foreign_server') FROM pg_foreign_server WHERE srvname = server) THEN
      changed := changed || server;
      PERFORM microsharding_debug_fdw_drop_schemas_(ARRAY(
        SELECT oid::regnamespace FROM pg_namespace
        WHERE obj_description(oid, 'pg_namespace') = 'microsharding:' || server
      ));
      EXECUTE format('COMMENT ON SERVER %I IS %L', server, mark);
    END IF;
    shard_count := remote.shard_count;
    RETURN NEXT;
  END LOOP;

  -- Only now, when the schemas of shards that went from one host to another are gone.
  FOREACH server IN ARRAY changed LOOP
    PERFORM microsharding_debug_fdw_import_(dst_prefix, server);
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_sync_(text, text[], text)
  IS 'Brings the foreign shard schemas of some hosts up to date. Hosts that are replicas, that are an island already '
     'seen under another name, or that are own_island are left out.';
