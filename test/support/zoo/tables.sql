CREATE TABLE person (
  dropped_first integer,
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL DEFAULT 'it''s; a "name" -- no comment',
  feels mood DEFAULT 'ok',
  moods mood[] NOT NULL DEFAULT '{sad,happy}',
  email "other Schema".email,
  size "other Schema".size DEFAULT 'small',
  home address,
  family household,
  age small_positive DEFAULT 18,
  spread float_range,
  spreads float_ranges,
  doubled integer GENERATED ALWAYS AS ("other Schema".double(age)) STORED,
  dropped_between text DEFAULT 'gone',
  upper_name text GENERATED ALWAYS AS (upper(name COLLATE "C")) STORED,
  made_at timestamptz NOT NULL DEFAULT now(),
  city text COMPRESSION pglz COLLATE own_collation,
  essay text,
  extra hstore,
  nick citext
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_enabled = true,
  toast_tuple_target = 256, parallel_workers = 1);
ALTER TABLE person ALTER COLUMN city SET STORAGE EXTERNAL, ALTER COLUMN essay SET STORAGE MAIN,
  ALTER COLUMN name SET STATISTICS 250, ALTER COLUMN feels SET (n_distinct = 4);
INSERT INTO person (name, feels, moods, email, home, family, spread, spreads, city, essay, extra, nick)
SELECT 'n' || i, (enum_range(NULL::mood))[1 + i % 4], ARRAY['ok', NULL, 'quite ''ok''']::mood[], 'a' || i || '@b',
  ROW('Main "St", ' || i, i + 1, ARRAY['x', NULL, 'y,z'])::address,
  ROW('h', ARRAY[ROW('s', 3, '{}')::address, NULL])::household,
  float_range(i, i + 0.5), float_ranges(float_range(i, i + 1), float_range(i + 2, NULL)), repeat('ü', i % 50),
  (SELECT string_agg(md5((i * 1000 + k)::text), '') FROM generate_series(1, (i % 7) * 60) k),
  hstore('k', i::text), 'Nick' || i
FROM generate_series(1, 60) i;
ALTER TABLE person DROP COLUMN dropped_first, DROP COLUMN dropped_between;
COMMENT ON TABLE person IS E'a table\nin two lines; with $$ and ''quotes''';
COMMENT ON COLUMN person.name IS 'its "name"';

CREATE TABLE all_kinds (
  id integer PRIMARY KEY,
  small smallint, big bigint, num numeric, fixed numeric(12, 4), r real, d float8, cash money,
  c character(5), vc varchar(9), t text, b bytea, one_char "char", n name,
  at timestamptz, at_local timestamp(3), day date, clock time, clock_tz timetz, span interval,
  yes boolean, p point, l line, s lseg, bx box, path path, poly polygon, circ circle,
  net inet, block cidr, mac macaddr, mac8 macaddr8, bits bit(5), vbits bit varying,
  vec tsvector, q tsquery, u uuid, x xml, j json, jb jsonb, jp jsonpath,
  ints integer[], texts text[][], r4 int4range, rn numrange, rt tstzrange, rd daterange, mr int8multirange,
  o oid, cls regclass, prc regprocedure, typ regtype, rol regrole, nsp regnamespace, opr regoperator, cfg regconfig,
  lsn pg_lsn, snap pg_snapshot, xid xid8, ct tid
);
INSERT INTO all_kinds (id, small, big, num, fixed, r, d, cash, c, vc, t, b, one_char, n, at, at_local, day, clock,
  clock_tz, span, yes, p, net, block, mac, bits, vbits, vec, q, u, x, j, jb, jp, ints, texts, r4, rt, mr, o, cls, prc,
  typ, rol, nsp, opr, cfg, lsn, xid)
VALUES
  (1, -32768, 9223372036854775807, 'NaN', 0.0001, 'NaN', 'Infinity', '-$1,234.50', 'ab', 'ü', E'\\N\t\n\r\\.\x01"''',
   '\x00ff5c0a', 'x', 'nm', '4713-01-01 00:00:00 BC', '0044-03-15 12:00:00.123 BC', '4713-01-01 BC', '24:00', '12:00+13',
   '-1 year 2 mons -3 days 04:05:06.7', true, '(1e-300,-0)', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101',
   B'', 'a:1A b:2,3B', '''a'' & !''b'' <-> ''c''', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '<a b="c">&lt;</a>',
   '{"a" : 1, "a": [null, 1e400]}', '{"z": 1.10, "a": "\u00fc"}', '$.a[*] ? (@ > 1)', '{1,NULL,-3}',
   '{{a,b},{"c,d",NULL}}', '[1,5)', '[2000-01-01,infinity)', '{[1,2),[5,)}', 16384, 'pg_catalog.pg_class',
   'pg_catalog.length(text)', 'pg_catalog.int4[]', 'zoo_owner', 'pg_catalog', '+(integer,integer)', 'english',
   'FFFFFFFF/FFFFFFFF', '18446744073709551615');
INSERT INTO all_kinds (id, num, fixed, r, d, cash, c, t, b, at, at_local, day, clock, clock_tz, span, yes, p, net, block,
  vec, u, j, jb, jp, ints, texts, r4, rt, mr, o, cls, prc, typ, rol, nsp, cfg, lsn, xid)
VALUES
  (2, 'Infinity', -99999999.9999, '-Infinity', '-0', '0', '', '', '', 'infinity', '-infinity', 'infinity', '00:00',
   '00:00-13', '178000000 years', false, '(NaN,Infinity)', '1.2.3.4', '::/0', '',
   '00000000-0000-0000-0000-000000000000', 'null', 'null', '$', '{}', '{}', 'empty', 'empty', '{}', 4294967295, '-', '-',
   '-', '-', '-', 'simple', '0/0', '0');
INSERT INTO all_kinds (id, num, r, d, t, at, day) VALUES
  (3, '1e-1000', '1e-45', '5e-324', repeat('long ', 5000), '294276-12-31 23:59:59.999999', '5874897-12-31');
INSERT INTO all_kinds (id, l, s, bx, path, poly, circ, mac8, rn, rd, snap, ct, vc) VALUES
  (4, '{1,2,3}', '((1,2),(3,4))', '((1,2),(3,4))', '[(1,2),(3,4)]', '((1,2),(3,4))', '<(1,2),3>', '08:00:2b:01:02:03:04:05',
   '(,1.5]', '[2020-01-01,)', '10:20:10,14', '(1,2)', 'x');
-- Names of the schema's own objects, stored as data.
UPDATE all_kinds SET cls = 'person', typ = 'mood', nsp = :schema_literal, prc = 'abs_cmp(integer, integer)', cfg = 'own_config'
WHERE id = 3;

CREATE TABLE keyless (a integer, b text, f date DEFAULT 'infinity', g integer GENERATED ALWAYS AS (a + 1) STORED);
INSERT INTO keyless (a, b) SELECT i % 10, repeat('same', i % 3) FROM generate_series(1, 50) i;
CREATE TABLE keyless_json (a integer, j json, p point, d date, s interval, t timestamptz, f float8, b bytea, c regclass);
INSERT INTO keyless_json
SELECT i, '{"a" :1}', point(i, i / 3.0), date '2020-01-01' + i, interval '-1 month 2 days -3 hours', '2020-02-03 04:05:06+07', i / 7.0,
  '\x5c00', 'person'
FROM generate_series(1, 10) i;
-- Pairs of rows that are equal, but not the same.
CREATE TABLE keyless_inexact (n numeric, f float8, nick citext, s interval);
INSERT INTO keyless_inexact SELECT (i || '.' || repeat('0', k))::numeric, '-0'::float8 * k, repeat('A', k), k * interval '24 hours' / k
FROM generate_series(1, 10) i, generate_series(1, 2) k;
CREATE TABLE keyless_unique (a integer NOT NULL UNIQUE, j json);
INSERT INTO keyless_unique SELECT i, '[]' FROM generate_series(1, 20) i;
CREATE TABLE refers_to_keyless (a integer REFERENCES keyless_unique (a));
INSERT INTO refers_to_keyless SELECT i FROM generate_series(1, 20) i;
CREATE TABLE full_json (a integer, j json);
ALTER TABLE full_json REPLICA IDENTITY FULL;
INSERT INTO full_json VALUES (1, '{}');
CREATE TABLE full_with_key (a integer PRIMARY KEY, j json);
ALTER TABLE full_with_key REPLICA IDENTITY FULL;
INSERT INTO full_with_key SELECT i, '{}' FROM generate_series(1, 20) i;
CREATE TABLE identity_nothing (a integer PRIMARY KEY, b text);
ALTER TABLE identity_nothing REPLICA IDENTITY NOTHING;
INSERT INTO identity_nothing VALUES (1, 'x');
CREATE TABLE identity_index (a integer NOT NULL, b text NOT NULL, c text);
CREATE UNIQUE INDEX "identity ""index""" ON identity_index (b, a);
ALTER TABLE identity_index REPLICA IDENTITY USING INDEX "identity ""index""";
INSERT INTO identity_index SELECT i, 'b' || i, 'c' FROM generate_series(1, 20) i;
CREATE TABLE deferrable_key (a integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, b text);
INSERT INTO deferrable_key SELECT i, 'b' FROM generate_series(1, 20) i;
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE only_generated (g integer GENERATED ALWAYS AS (7) STORED);
INSERT INTO only_generated DEFAULT VALUES;
CREATE TABLE empty (a integer PRIMARY KEY);

CREATE UNLOGGED TABLE unlogged_parent (id integer PRIMARY KEY, t text);
CREATE UNLOGGED TABLE unlogged_child (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  parent integer REFERENCES unlogged_parent,
  g text GENERATED ALWAYS AS ('p' || parent::text) STORED
);
INSERT INTO unlogged_parent SELECT i, 't' || i FROM generate_series(1, 30) i;
INSERT INTO unlogged_child (parent) SELECT i FROM generate_series(1, 30) i;
