CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE mood ADD VALUE 'quite ''ok''' BEFORE 'happy';
CREATE TYPE "Weird.Enum" AS ENUM ('', ' ', '"', 'ünï', 'a,b');
CREATE DOMAIN positive AS integer DEFAULT 1 CONSTRAINT above_zero CHECK (VALUE > 0);
CREATE DOMAIN small_positive AS positive NOT NULL CHECK (VALUE < 1000);
CREATE DOMAIN code AS text COLLATE "C";
CREATE TABLE coded (id integer PRIMARY KEY, c code);
INSERT INTO coded VALUES (1, 'xy'), (2, 'long');
-- Not true for all rows, so it has to be added after them.
ALTER DOMAIN code ADD CONSTRAINT two_letters CHECK (length(VALUE) = 2) NOT VALID;
COMMENT ON CONSTRAINT two_letters ON DOMAIN code IS 'for new ones';
CREATE TYPE address AS (street text, zip positive, tags text[]);
CREATE TYPE household AS (head text, places address[]);
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = float_ranges);
CREATE FUNCTION mood_rank(m mood) RETURNS integer LANGUAGE sql IMMUTABLE STRICT
  RETURN CASE m::text WHEN 'sad' THEN 0 WHEN 'happy' THEN 2 ELSE 1 END;
CREATE FUNCTION same_rank(a mood, b mood) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT
  AS $$ SELECT a::text = b::text $$;
CREATE OPERATOR === (LEFTARG = mood, RIGHTARG = mood, FUNCTION = same_rank, COMMUTATOR = ===, RESTRICT = eqsel);
CREATE FUNCTION abs_cmp(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT
  AS $$ SELECT pg_catalog.btint4cmp(pg_catalog.abs($1), pg_catalog.abs($2)) $$;
CREATE OPERATOR FAMILY abs_family USING btree;
CREATE OPERATOR CLASS abs_ops FOR TYPE integer USING btree FAMILY abs_family AS
  OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 abs_cmp(integer, integer);
CREATE COLLATION own_collation FROM "C";
CREATE TEXT SEARCH DICTIONARY own_dictionary (TEMPLATE = pg_catalog.simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION own_config (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION own_config ALTER MAPPING FOR asciiword WITH own_dictionary, english_stem;
CREATE TYPE mood_range AS RANGE (subtype = mood);
COMMENT ON TYPE mood IS 'how one feels; not "why"';
COMMENT ON DOMAIN positive IS 'more than nothing';
COMMENT ON CONSTRAINT above_zero ON DOMAIN positive IS 'zero is not positive';
COMMENT ON COLUMN address.zip IS 'postal code';
COMMENT ON OPERATOR === (mood, mood) IS 'equal';
COMMENT ON OPERATOR CLASS abs_ops USING btree IS 'by distance from zero';
COMMENT ON COLLATION own_collation IS 'bytes';
COMMENT ON TEXT SEARCH CONFIGURATION own_config IS 'english, nearly';
COMMENT ON TEXT SEARCH DICTIONARY own_dictionary IS 'simple';
