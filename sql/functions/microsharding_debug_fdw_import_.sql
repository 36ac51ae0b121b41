CREATE OR REPLACE FUNCTION microsharding_debug_fdw_import_(
  dst_prefix text,
  server text
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  listing text := microsharding_debug_fdw_open_(server);
  remote record;
  shard text;
  dst_schema text;
  is_skipped boolean;
BEGIN
  FOR remote IN
    EXECUTE format('SELECT * FROM %I WHERE shard IS NOT NULL ORDER BY shard, table_name', listing)
  LOOP
    IF remote.shard IS DISTINCT FROM shard THEN
      shard := remote.shard;
      dst_schema := dst_prefix || '_' || shard;
      IF octet_length(dst_schema) > 63 THEN
        RAISE EXCEPTION 'the prefix "%" is too long', dst_prefix USING ERRCODE = 'name_too_long';
      END IF;
      is_skipped := EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = dst_schema);
      IF is_skipped THEN
        RAISE WARNING 'schema % exists: shard % of % is left out', dst_schema, shard, server;
      ELSE
        EXECUTE format('CREATE SCHEMA %I', dst_schema);
        EXECUTE format('COMMENT ON SCHEMA %I IS %L', dst_schema, 'microsharding:' || server);
      END IF;
    END IF;
    CONTINUE WHEN is_skipped OR remote.table_name IS NULL;
    -- IMPORT FOREIGN SCHEMA fails as a whole where a column has a type that only the other server has, such as a
    -- shard's own enum. Such a column is read as text. Its collation differs from that of the view, which keeps
    -- postgres_fdw from having the other server compare and sort it by rules of its own.
    EXECUTE format(
      'CREATE FOREIGN TABLE %I.%I (%s) SERVER %I OPTIONS (schema_name %L, table_name %L)',
      dst_schema,
      remote.table_name,
      (
        SELECT string_agg(
          format('%I ', name) || COALESCE(format_type(to_regtype(type), -1), 'text COLLATE pg_catalog."C"'),
          ', ' ORDER BY position
        )
        FROM unnest(remote.column_names, remote.column_types) WITH ORDINALITY AS columns(name, type, position)
      ),
      server,
      shard,
      remote.table_name
    );
  END LOOP;
  IF listing = 'microsharding_debug_remote_' THEN
    DROP FOREIGN TABLE microsharding_debug_remote_;
  END IF;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_import_(text, text)
  IS 'Creates a schema for each active shard of a foreign server, with a foreign table for each table of the shard.';
