CREATE OR REPLACE FUNCTION microsharding_debug_view_definitions_(
  fdw_dst_prefix text
) RETURNS TABLE (
  table_name text,
  definition text,
  hash text
)
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
  WITH
  foreign_shards AS MATERIALIZED (
    SELECT n.oid, substr(n.nspname::text, length(fdw_dst_prefix) + 2) AS shard
    FROM unnest(microsharding_debug_fdw_schemas_(fdw_dst_prefix)) AS made(oid)
    JOIN pg_namespace n ON n.oid = made.oid
  ),
  shards AS MATERIALIZED (
    SELECT oid, shard, true AS is_foreign FROM foreign_shards
    UNION ALL
    SELECT n.oid, n.nspname::text, false
    FROM unnest(microsharding_list_active_shards()) AS active(oid)
    JOIN pg_namespace n ON n.oid = active.oid
    WHERE n.nspname::text NOT IN (SELECT shard FROM foreign_shards)
  ),
  tables AS MATERIALIZED (
    SELECT
      c.oid AS relid,
      c.relname::text AS table_name,
      shards.oid AS shard_oid,
      shards.shard,
      format('%s.%I', shards.oid::regnamespace, c.relname) AS full_name,
      shards.is_foreign
    FROM shards
    JOIN pg_class c ON c.relnamespace = shards.oid
    -- Partitions come with their root.
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition
  ),
  columns AS MATERIALIZED (
    SELECT tables.relid, tables.table_name, tables.is_foreign, a.attname::text AS name, a.attnum, a.atttypid, a.atttypmod,
      a.attcollation, t.typnamespace = tables.shard_oid AS is_own
    FROM tables
    JOIN pg_attribute a ON a.attrelid = tables.relid
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped
  ),
  view_columns AS MATERIALIZED (
    SELECT
      table_name,
      name,
      -- Also where only one shard is left: a view whose columns change cannot be replaced under what is built on it.
      min(atttypid) <> max(atttypid) OR bool_or(is_own) AS is_mixed,
      -- Where the shards disagree, and where microsharding_debug_fdw_import_() declared a column that must not be
      -- compared by the other server.
      min(atttypid) <> max(atttypid) OR bool_or(is_own) OR min(attcollation) <> max(attcollation)
        OR bool_or(is_foreign AND attcollation NOT IN (0, 100)) AS is_collated,
      CASE
        WHEN min(atttypid) <> max(atttypid) OR bool_or(is_own) THEN 'text'
        WHEN min(atttypmod) <> max(atttypmod) THEN format_type(min(atttypid), -1)
        ELSE format_type(min(atttypid), min(atttypmod))
      END AS type,
      row_number() OVER (PARTITION BY table_name ORDER BY name <> 'id', name COLLATE "C") AS position
    FROM columns
    GROUP BY table_name, name
  ),
  selects AS (
    SELECT
      tables.table_name,
      -- The statements are joined by hundreds, and the hundreds by one another: PostgreSQL descends into a chain of
      -- UNION ALL recursively, and one chain of thousands would exceed max_stack_depth.
      (row_number() OVER (PARTITION BY tables.table_name ORDER BY tables.shard) - 1) / 100 AS hundred,
      tables.shard,
      format('SELECT %L::text', tables.shard)
        || COALESCE(string_agg(
          CASE WHEN columns.name IS NULL THEN ', NULL::' || view_columns.type
            ELSE ', ' || quote_ident(columns.name)
              || CASE WHEN view_columns.is_mixed THEN '::text' ELSE '' END
              || CASE WHEN view_columns.is_collated THEN ' COLLATE pg_catalog."default"' ELSE '' END
          END,
          '' ORDER BY view_columns.position
        ), '')
        || ' FROM ' || tables.full_name
        -- A view follows a table into a renamed schema, and would show the old copy that a move leaves behind until it
        -- is brought up to date. So each SELECT asks, once, whether the schema of its table is an active shard still.
        || CASE WHEN tables.is_foreign THEN '' ELSE format(
          ' WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace '
          'JOIN microsharding_active_ AS a ON a.schema_name = n.nspname WHERE c.oid = %L::pg_catalog.regclass)',
          tables.full_name
        ) END AS sql,
      -- A renamed table or column changes nothing in the text of a view, but a view follows it.
      tables.relid || COALESCE(string_agg(',' || columns.attnum, '' ORDER BY view_columns.position), '') AS ids
    FROM tables
    LEFT JOIN view_columns ON view_columns.table_name = tables.table_name
    LEFT JOIN columns ON columns.relid = tables.relid AND columns.name = view_columns.name
    GROUP BY tables.table_name, tables.shard, tables.full_name, tables.relid, tables.is_foreign
  ),
  hundreds AS (
    SELECT
      table_name,
      hundred,
      count(*) AS selects,
      format(E'(\n%s\n)', string_agg('  ' || sql, E'\n  UNION ALL\n' ORDER BY shard)) AS sql,
      string_agg(ids, ';' ORDER BY shard) AS ids
    FROM selects
    GROUP BY table_name, hundred
  ),
  headings AS (
    SELECT
      table_name,
      -- The view's own column is always called shard; a column of that name, if the table has one, is shard_.
      string_agg(', ' || quote_ident(CASE WHEN name ~ '^shard_*$' THEN name || '_' ELSE name END), '' ORDER BY position)
        AS names,
      string_agg(', NULL::' || type, '' ORDER BY position) AS nulls
    FROM view_columns
    GROUP BY table_name
  ),
  definitions AS (
    SELECT
      hundreds.table_name,
      format(E'(shard%s) AS\n', headings.names)
        || string_agg(hundreds.sql, E'\nUNION ALL\n' ORDER BY hundreds.hundred)
        -- A view of one SELECT could be written to, and a debug view must not be a way around a moved shard.
        || CASE WHEN sum(hundreds.selects) = 1 THEN format(E'\nUNION ALL SELECT NULL::text%s WHERE false', headings.nulls) ELSE '' END
        AS definition,
      string_agg(hundreds.ids, ';' ORDER BY hundreds.hundred) AS ids
    FROM hundreds
    LEFT JOIN headings ON headings.table_name = hundreds.table_name
    GROUP BY hundreds.table_name, headings.names, headings.nulls
  )
  SELECT table_name, definition, md5(definition || ids) FROM definitions
$$;

COMMENT ON FUNCTION microsharding_debug_view_definitions_(text)
  IS 'Composes the debug view of each table: a column shard, then every column that any shard has in this table, '
     'and one SELECT per shard, which shows nothing while the shard is not active. A column whose type differs between '
     'shards, or whose type belongs to the shard (such as an enum), becomes text.';
