-- The format comes from the setting microsharding.schema_name_fmt (PGOPTIONS='-c microsharding.schema_name_fmt=s%05d');
-- without it, from the function that is already installed; otherwise it is sh%04d.
DO $do$
DECLARE
  fmt text := NULLIF(current_setting('microsharding.schema_name_fmt', true), '');
  installed regprocedure := to_regprocedure(format('%I.microsharding_schema_name_(integer)', current_schema()));
  -- greatest(): a number with more digits than the width keeps them all; lpad alone would cut them off and name another
  -- shard.
  body CONSTANT text := $$%1$L::text || lpad(%4$s::text, greatest(%2$s, length(%4$s::text)), '0') || %3$L::text$$;
  ask CONSTANT text := format('SELECT %I.microsharding_schema_name_($1)', current_schema());
  parts text[];
  zeroth text;
  name text;
  units integer;
  width integer := 0;
  is_other boolean;
BEGIN
  IF fmt IS NULL AND installed IS NOT NULL THEN
    -- The installed function is called for names instead of being parsed, so that it does not matter who wrote it.
    EXECUTE ask INTO zeroth USING 0;
    EXECUTE ask INTO name USING 9;
    -- The position of the units: where the names of 0 and 9 differ.
    SELECT max(i) INTO units FROM generate_series(1, length(zeroth)) i WHERE substr(zeroth, i, 1) <> substr(name, i, 1);
    -- The nines of 9, 90, 900 and so on each show one more position, until the name grows or lpad cuts it.
    WHILE width < LEAST(units, 9) AND name = overlay(zeroth PLACING '9' FROM units - width) LOOP
      width := width + 1;
      EXECUTE ask INTO name USING (9 * 10::bigint ^ LEAST(width, 8))::integer;
    END LOOP;
    parts := ARRAY[left(zeroth, units - width), width::text, substr(zeroth, units + 1)];
    EXECUTE format('SELECT EXISTS (SELECT FROM generate_series(0, 1100) n, %I.microsharding_schema_name_(n) AS name '
      'WHERE name <> %s AND (n < 10 ^ %s OR length(name) > %s))',
      current_schema(), format(body, parts[1], parts[2], parts[3], 'n'), width, length(zeroth)) INTO is_other;
    IF width = 0 OR is_other THEN
      RETURN; -- Not a padded number: somebody's own function, which stays.
    END IF;
  ELSE
    fmt := COALESCE(fmt, 'sh%04d');
    parts := regexp_match(fmt, '^((?:[^%]|%%)*)%(?:0([1-9]))?d((?:[^%]|%%)*)$');
    IF parts IS NULL OR length(fmt) > 50 THEN
      RAISE EXCEPTION 'the schema name format "%" must have exactly one %%d or %%0Nd, as in sh%%04d', fmt
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    parts := ARRAY[replace(parts[1], '%%', '%'), COALESCE(parts[2], '1'), replace(parts[3], '%%', '%')];
  END IF;

  IF installed IS NOT NULL AND pg_get_function_arguments(installed) || pg_get_function_result(installed)
    <> 'shard integertext'
  THEN
    EXECUTE format('DROP FUNCTION %s', installed);
  END IF;
  EXECUTE format(
    'CREATE OR REPLACE FUNCTION microsharding_schema_name_(shard integer) RETURNS text LANGUAGE sql IMMUTABLE AS %L',
    'SELECT ' || format(body, parts[1], parts[2], parts[3], '$1')
  );
END;
$do$;

COMMENT ON FUNCTION microsharding_schema_name_(integer)
  IS 'Builds the name of a shard''s schema from the number of the shard.';
