CREATE OR REPLACE FUNCTION microsharding_migrations_create_(
  shards text[]
) RETURNS SETOF text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  shard text;
BEGIN
  FOREACH shard IN ARRAY shards LOOP
    CONTINUE WHEN to_regclass(format('%I.microsharding_migrations_', shard)) IS NOT NULL;
    -- Columns of limited length: so narrow a table has no TOAST table, whose locks would triple the number that a
    -- migration of many shards holds.
    EXECUTE format($sql$
      CREATE TABLE %I.microsharding_migrations_(
        name varchar(100) PRIMARY KEY,
        hash varchar(64) NOT NULL,
        statements integer NOT NULL,
        complete boolean NOT NULL,
        transaction_key varchar(60),
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )
    $sql$, shard);
    RETURN NEXT shard;
  END LOOP;
END;
$$;

COMMENT ON FUNCTION microsharding_migrations_create_(text[])
  IS 'Creates the table microsharding_migrations_, which records the migrations that a shard has had, in those of the '
     'given shards that lack it, and returns these. It is part of the shard, and moves with it.';
