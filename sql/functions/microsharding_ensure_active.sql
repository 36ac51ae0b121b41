CREATE OR REPLACE FUNCTION microsharding_ensure_active(
  shard_from integer,
  shard_to integer = NULL
) RETURNS SETOF regnamespace
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  shards text[] := ARRAY(SELECT microsharding_schema_names_(shard_from, shard_to));
  wrong text;
BEGIN
  SELECT name INTO wrong FROM unnest(shards) AS name
  WHERE NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = name)
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'No such schema: %', wrong
      USING ERRCODE = 'invalid_schema_name', HINT = 'Create it with microsharding_ensure_exist().';
  END IF;

  -- Such a copy lacks rows that the shard has elsewhere, so its activation would lose data.
  SELECT nspname INTO wrong FROM pg_namespace
  WHERE nspname = ANY (shards)
    AND (
      obj_description(oid, 'pg_namespace') LIKE 'shardferry: half-made copy%'
      OR nspname IN (SELECT leftover FROM microsharding_moves_)
    )
  ORDER BY nspname
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'schema % is a half-made or an old copy of a shard, and cannot be activated', wrong
      USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = COALESCE(obj_description(quote_ident(wrong)::regnamespace, 'pg_namespace'), 'It was left by a move.'),
        HINT = 'Let the move that builds it end, or drop it if none runs any more.';
  END IF;

  -- The order keeps two sessions with overlapping ranges from waiting for each other.
  INSERT INTO microsharding_active_(schema_name)
  SELECT name FROM unnest(shards) AS name ORDER BY name
  ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT quote_ident(name)::regnamespace FROM unnest(shards) AS name;
END;
$$;

COMMENT ON FUNCTION microsharding_ensure_active(integer, integer)
  IS 'Activates the shards shard_from..shard_to (inclusive), which must exist, and returns them.';
