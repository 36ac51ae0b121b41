CREATE OR REPLACE FUNCTION microsharding_debug_fdw_create(
  dst_prefix text,
  src_hosts text[]
) RETURNS TABLE (
  server text,
  shard_count integer
)
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
  SELECT * FROM microsharding_debug_fdw_sync_(dst_prefix, src_hosts, NULL)
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_create(text, text[])
  IS 'Creates a foreign server for each host (host, host:port or host:port/database) and a schema <dst_prefix>_<shard> '
     'with foreign tables for each of its active shards, or brings them up to date. Returns the servers and how many '
     'shards each has.';
