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
  listing text;
  remote record;
  mark text;
  islands text[] := ARRAY[own_island];
  servers text[] := '{}';
  changed text[] := '{}';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('microsharding debug views'), 0);

  FOR src_host IN
    SELECT trim(host) FROM unnest(src_hosts) WITH ORDINALITY AS hosts(host, position)
    WHERE trim(host) <> ''
    GROUP BY 1
    ORDER BY min(position)
  LOOP
    server := microsharding_debug_fdw_server_(dst_prefix, src_host);
    IF server = ANY (servers) THEN
      RAISE EXCEPTION 'two hosts would both be called %', server USING ERRCODE = 'duplicate_object';
    END IF;
    servers := servers || server;

    listing := microsharding_debug_fdw_open_(server);
    BEGIN
      EXECUTE format($sql$
        SELECT
          md5(string_agg(r::text, ',' ORDER BY shard, table_name)) AS hash,
          max(island) AS island,
          bool_or(replica) AS is_replica,
          count(DISTINCT shard)::integer AS shard_count
        FROM %I r
      $sql$, listing) INTO remote;
    EXCEPTION
      WHEN undefined_table OR invalid_schema_name THEN
        RAISE EXCEPTION 'the SQL API of this version is not installed in schema % of %', current_schema(), src_host
          USING ERRCODE = SQLSTATE, DETAIL = SQLERRM, HINT = 'Run "shardferry install" for all islands.';
    END;
    IF listing = 'microsharding_debug_remote_' THEN
      DROP FOREIGN TABLE microsharding_debug_remote_;
    END IF;

    IF remote.is_replica OR remote.island = ANY (islands) THEN
      PERFORM microsharding_debug_fdw_drop_server_(server);
      CONTINUE;
    END IF;
    islands := islands || remote.island;
    mark := format('microsharding:%s %s', remote.hash, src_host);
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

  FOR server IN
    SELECT srvname FROM pg_foreign_server
    WHERE own_island IS NOT NULL AND starts_with(srvname::text, dst_prefix || '_') AND srvname <> ALL (servers)
      AND microsharding_debug_mark_(obj_description(oid, 'pg_foreign_server'))
  LOOP
    PERFORM microsharding_debug_fdw_drop_server_(server);
  END LOOP;

  -- Only now, when the schemas of shards that went from one host to another are gone.
  FOREACH server IN ARRAY changed LOOP
    PERFORM microsharding_debug_fdw_import_(dst_prefix, server);
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_sync_(text, text[], text)
  IS 'Brings the foreign shard schemas of some hosts up to date, and returns their servers. Hosts that are replicas, '
     'or an island already seen under another name, are left out. With own_island, so is this one, and the list of hosts '
     'is complete: whatever the prefix has for other hosts is dropped.';
