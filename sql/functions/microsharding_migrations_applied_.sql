CREATE OR REPLACE FUNCTION microsharding_migrations_applied_(
  migration text,
  shards text[]
) RETURNS TABLE (
  schema_name text,
  hash text,
  statements integer,
  complete boolean,
  transaction_key text
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
  shard text;
BEGIN
  FOREACH shard IN ARRAY shards LOOP
    CONTINUE WHEN to_regclass(format('%I.microsharding_migrations_', shard)) IS NULL;
    RETURN QUERY EXECUTE format(
      'SELECT %L, m.hash::text, m.statements, m.complete, m.transaction_key::text
       FROM %I.microsharding_migrations_ m WHERE m.name = $1',
      shard, shard
    ) USING migration;
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_migrations_applied_(text, text[])
  IS 'Returns those of the given shards that have had a migration, or part of it, with the hash of its text.';
