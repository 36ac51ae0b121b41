-- The format comes from the setting microsharding.schema_name_fmt (PGOPTIONS='-c microsharding.schema_name_fmt=s%05d');
-- without it, from the function that is installed already; else it is sh%04d. The installed function is asked for a
-- few names instead of being read, so that it does not matter who wrote it.
DO $do$
DECLARE
  fmt text := NULLIF(current_setting('microsharding.schema_name_fmt', true), '');
  installed regprocedure := to_regprocedure(format('%I.microsharding_schema_name_(integer)', current_schema()));
  parts text[];
  zeroth text;
  name text;
  units integer;
  width integer := 0;
BEGIN
  IF fmt IS NULL AND installed IS NOT NULL THEN
    EXECUTE format('SELECT %I.microsharding_schema_name_(0)', current_schema()) INTO zeroth;
    EXECUTE format('SELECT %I.microsharding_schema_name_(9)', current_schema()) INTO name;
    -- The place of the units: the only one where the names of 0 and 9 differ.
    SELECT max(i) INTO units FROM generate_series(1, length(zeroth)) i WHERE substr(zeroth, i, 1) <> substr(name, i, 1);
    -- Each further power of ten shows one more place, until the name grows or (lpad cuts) digits shift.
    WHILE width < 9 AND name = overlay(zeroth PLACING '9' FROM units - width) LOOP
      width := width + 1;
      EXECUTE format('SELECT %I.microsharding_schema_name_($1)', current_schema())
        INTO name USING (9 * 10::bigint ^ LEAST(width, 8))::integer;
    END LOOP;
    IF width = 0 THEN
      RETURN; -- Not a padded number: a function of somebody's own, which stays.
    END IF;
    parts := ARRAY[left(zeroth, units - width), width::text, substr(zeroth, units + 1)];
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
  -- greatest(): a number with more digits than the width keeps them all, where lpad alone would cut them off and
  -- name another shard.
  EXECUTE format(
    $sql$
      CREATE OR REPLACE FUNCTION microsharding_schema_name_(shard integer) RETURNS text
      LANGUAGE sql IMMUTABLE
      AS $body$ SELECT %L::text || lpad($1::text, greatest(%s, length($1::text)), '0') || %L::text $body$
    $sql$,
    parts[1], parts[2], parts[3]
  );
END;
$do$;

COMMENT ON FUNCTION microsharding_schema_name_(integer)
  IS 'Builds the name of a shard''s schema from the number of the shard.';
