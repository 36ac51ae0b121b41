CREATE OR REPLACE FUNCTION microsharding_set_factor_(
  schema_name text,
  factor numeric
) RETURNS numeric
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  pattern CONSTANT text := '\[weight factor [0-9]+(\.[0-9]+)?\]';
  old_comment text;
  new_comment text;
  part text;
BEGIN
  IF factor IS NULL OR factor <= 0 OR factor IN ('NaN', 'Infinity') THEN
    RAISE EXCEPTION 'the weight factor of % must be a positive number, not %', schema_name, COALESCE(factor::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT COALESCE(obj_description(oid, 'pg_namespace'), '') INTO old_comment FROM pg_namespace
  WHERE nspname = schema_name;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'No such schema: %', schema_name USING ERRCODE = 'invalid_schema_name';
  END IF;

  part := format('[weight factor %s]', trim_scale(factor));
  new_comment := CASE
    -- The space goes with the part that it was added with, so that the text before it is what it was.
    WHEN factor = 1 THEN regexp_replace(old_comment, '( |^)' || pattern, '')
    WHEN old_comment ~ pattern THEN regexp_replace(old_comment, pattern, part)
    WHEN old_comment = '' THEN part
    ELSE old_comment || ' ' || part
  END;
  IF new_comment <> old_comment THEN
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', schema_name, NULLIF(new_comment, ''));
  END IF;
  RETURN factor;
END;
$$;

COMMENT ON FUNCTION microsharding_set_factor_(text, numeric)
  IS 'Writes the weight factor of a shard into the comment on its schema and keeps all other text of the comment. '
     'Factor 1 removes that part.';
