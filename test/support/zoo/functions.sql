CREATE FUNCTION sql_string(n integer DEFAULT 3, VARIADIC rest integer[] DEFAULT '{}') RETURNS bigint
  LANGUAGE sql STABLE PARALLEL SAFE COST 5 AS 'SELECT count(*) FROM person WHERE id < n';
CREATE FUNCTION sql_atomic(OUT a bigint, OUT b text) RETURNS SETOF record LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT id, name FROM person WHERE feels = 'sad';
  SELECT id, name || ';' FROM person;
END;
CREATE FUNCTION sql_on_key() RETURNS SETOF text LANGUAGE sql STABLE
BEGIN ATOMIC SELECT name FROM person GROUP BY id; END;
CREATE FUNCTION plpgsql_body(INOUT x integer) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET work_mem = '8MB' AS $_$
-- a comment; with $$ and \restrict
BEGIN
  x := x + (SELECT count(*) FROM missing_table);
END $_$;
CREATE FUNCTION returns_table() RETURNS TABLE (id bigint, "Odd name" text) LANGUAGE sql ROWS 7 AS 'SELECT 1, ''a''';
CREATE FUNCTION takes_own(person, mood[], VARIADIC address[]) RETURNS person LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT $1';
CREATE FUNCTION "Odd ""function"".x"(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE PROCEDURE do_it(IN a integer, INOUT b text DEFAULT 'x') LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CREATE PROCEDURE do_atomic() BEGIN ATOMIC DELETE FROM empty; END;
CREATE FUNCTION add_up(state bigint, value integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE AGGREGATE own_sum(integer) (SFUNC = add_up, STYPE = bigint, INITCOND = '0', PARALLEL = safe);
CREATE AGGREGATE own_percentile(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal,
  FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA = true);
COMMENT ON FUNCTION sql_string(integer, integer[]) IS 'counts';
COMMENT ON PROCEDURE do_it(integer, text) IS 'does';
COMMENT ON AGGREGATE own_sum(integer) IS 'sums';
