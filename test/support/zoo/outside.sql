-- Objects outside of its schema that the zoo uses; they are on both islands before the move.
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;
CREATE EXTENSION IF NOT EXISTS btree_gin SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public;
CREATE EXTENSION IF NOT EXISTS citext SCHEMA public;
CREATE SCHEMA "other Schema";
CREATE DOMAIN "other Schema".email AS text CHECK (VALUE LIKE '%@%');
CREATE TYPE "other Schema".size AS ENUM ('small', 'large');
CREATE FUNCTION "other Schema".double(n integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN n * 2;
CREATE TABLE "other Schema".lookup (code text PRIMARY KEY, meaning text);
CREATE SEQUENCE "other Schema".tickets START 1000;
