-- Without a SET clause, which would double the cost: "list" calls it once per shard, for 10,000 shards.
CREATE OR REPLACE FUNCTION microsharding_factor_(
  schema_name text
) RETURNS numeric
LANGUAGE sql STABLE
AS $$
  SELECT COALESCE(
    (
      SELECT NULLIF(
        substring(
          pg_catalog.obj_description(n.oid, 'pg_namespace') FROM '\[weight factor ([0-9]+(?:\.[0-9]+)?)\]'
        )::pg_catalog.numeric,
        0
      )
      FROM pg_catalog.pg_namespace n
      WHERE n.nspname = $1
    ),
    1
  )
$$;

COMMENT ON FUNCTION microsharding_factor_(text)
  IS 'Returns the weight factor of a shard, which is written as [weight factor 1.2] in the comment on its schema; '
     '1 if there is none.';
