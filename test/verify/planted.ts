/** A value of some type, and one that differs as little as possible; both as SQL. */
export interface Planted {
  type: string;
  value: string;
  other: string;
}

/** Every kind of type, with differences that a comparison by meaning, by text or by trimmed text would miss. */
export const PLANTED: readonly Planted[] = [
  { type: "boolean", value: "true", other: "NULL" },
  { type: "smallint", value: "32767", other: "32766" },
  { type: "integer", value: "1", other: "-1" },
  { type: "bigint", value: "9007199254740993", other: "9007199254740992" },
  { type: "oid", value: "1", other: "2" },
  { type: "numeric", value: "1.0", other: "1.00" },
  { type: "numeric(30, 10)", value: "0.1234567891", other: "0.1234567890" },
  { type: "numeric", value: "'NaN'", other: "0" },
  { type: "real", value: "'1e-3'", other: "'0.0010000002'" },
  { type: "real", value: "'0'", other: "'-0'" },
  { type: "double precision", value: "'0'", other: "'-0'" },
  { type: "double precision", value: "0.1", other: "0.1::float8 + 1.4e-17" },
  { type: "money", value: "'1.00'", other: "'1.01'" },
  { type: "text", value: "'a'", other: "'A'" },
  { type: "text", value: "''", other: "NULL" },
  { type: "text", value: "'a'", other: "'a '" },
  { type: "text", value: "U&'\\00e9'", other: "U&'e\\0301'" },
  { type: "text", value: "repeat(md5('x'), 100000)", other: "repeat(md5('x'), 99999) || md5('y')" },
  { type: "varchar(10)", value: "'a'", other: "'a '" },
  { type: "bpchar", value: "'a'", other: "'a '" },
  { type: "char(5)", value: "'a'", other: "'b'" },
  { type: '"char"', value: "'a'", other: "'b'" },
  { type: "name", value: "'a'", other: "'b'" },
  { type: "bytea", value: "'\\x00'", other: "'\\x0000'" },
  {
    type: "bytea",
    value: "decode(repeat('00ff', 50000), 'hex')",
    other: "decode(repeat('00ff', 49999) || '00fe', 'hex')",
  },
  {
    type: "uuid",
    value: "'00000000-0000-0000-0000-000000000001'",
    other: "'00000000-0000-0000-0000-000000000000'",
  },
  { type: "date", value: "'2026-03-04'", other: "'2026-04-03'" },
  { type: "date", value: "'infinity'", other: "'-infinity'" },
  { type: "time", value: "'24:00'", other: "'00:00'" },
  { type: "timetz", value: "'12:00+01'", other: "'13:00+02'" },
  { type: "timestamp", value: "'2026-01-01 00:00:00.000001'", other: "'2026-01-01 00:00:00.000002'" },
  { type: "timestamptz", value: "'2026-01-01 00:00:00+00'", other: "'2026-01-01 00:00:00+01'" },
  { type: "interval", value: "'1 day'", other: "'24 hours'" },
  { type: "interval", value: "'1 month'", other: "'30 days'" },
  { type: "inet", value: "'10.0.0.1/8'", other: "'10.0.0.1/16'" },
  { type: "cidr", value: "'10.0.0.0/8'", other: "'10.0.0.0/9'" },
  { type: "macaddr", value: "'08:00:2b:01:02:03'", other: "'08:00:2b:01:02:04'" },
  { type: "macaddr8", value: "'08:00:2b:01:02:03:04:05'", other: "'08:00:2b:01:02:03:04:06'" },
  { type: "bit(3)", value: "B'101'", other: "B'100'" },
  { type: "bit varying", value: "B'1'", other: "B'10'" },
  { type: "json", value: `'{"a":1}'`, other: `'{"a": 1}'` },
  { type: "json", value: `'{"a":1,"b":2}'`, other: `'{"b":2,"a":1}'` },
  { type: "jsonb", value: `'{"a":1.0}'`, other: `'{"a":1.00}'` },
  { type: "jsonb", value: "'null'", other: "NULL" },
  { type: "xml", value: "'<a b=\"1\"/>'", other: "'<a b=\"1\"></a>'" },
  { type: "point", value: "'(0,1)'", other: "'(-0,1)'" },
  { type: "box", value: "'(1,1),(0,0)'", other: "'(1,1),(0,0.5)'" },
  { type: "path", value: "'((0,0),(1,1))'", other: "'[(0,0),(1,1)]'" },
  { type: "circle", value: "'<(0,0),1>'", other: "'<(0,1),1>'" },
  { type: "tsvector", value: "'a:1A b:2'", other: "'a:1B b:2'" },
  { type: "tsquery", value: "'a & b'", other: "'a | b'" },
  { type: "pg_lsn", value: "'0/1'", other: "'0/2'" },
  { type: "xid8", value: "'1'", other: "'2'" },
  { type: "int4range", value: "'[1,5)'", other: "'[1,4)'" },
  { type: "numrange", value: "'[1.0,2)'", other: "'[1.00,2)'" },
  { type: "tstzrange", value: "'[2026-01-01,)'", other: "'(2026-01-01,)'" },
  { type: "int4multirange", value: "'{[1,2),[3,4)}'", other: "'{[1,2)}'" },
  { type: "regclass", value: "'pg_class'", other: "'pg_type'" },
  { type: "tid", value: "'(0,1)'", other: "'(0,2)'" },
  { type: "integer[]", value: "'{1,2}'", other: "'{{1,2}}'" },
  { type: "integer[]", value: "'{1,2}'", other: "'[2:3]={1,2}'" },
  { type: "numeric[]", value: "'{1.0}'", other: "'{1.00}'" },
  { type: "text[]", value: "'{NULL}'", other: "'{\"NULL\"}'" },
  { type: "text[]", value: "'{}'", other: "'{\"\"}'" },
  { type: "oidvector", value: "'1 2'", other: "'1 3'" },
  { type: "s.mood", value: "'fine'", other: "'bad'" },
  { type: "s.mood[]", value: "'{fine}'", other: "'{fine,fine}'" },
  { type: "s.pair", value: "ROW(1.0, 'a')", other: "ROW(1.00, 'a')" },
  { type: "s.pair", value: "ROW(NULL, NULL)", other: "NULL" },
  { type: "s.pair[]", value: "ARRAY[ROW(1, 'a')::s.pair]", other: "ARRAY[ROW(1, 'a ')::s.pair]" },
  { type: "s.positive", value: "1.0", other: "1.00" },
  { type: "s.positive[]", value: "'{1.0}'", other: "'{1.00}'" },
  { type: "s.moods", value: "'[bad,fine]'", other: "'[bad,fine)'" },
  { type: "s.citext", value: "'Ann'", other: "'ann'" },
  { type: "s.hstore", value: "'a=>1'", other: "'a=>NULL'" },
];

/** What the types need, in schema s; extensions are in it, too. */
export const TYPES = `
  CREATE SCHEMA s;
  CREATE TYPE s.mood AS ENUM ('bad', 'fine');
  CREATE TYPE s.pair AS (a numeric, b text);
  CREATE DOMAIN s.positive AS numeric CHECK (VALUE > 0);
  CREATE TYPE s.moods AS RANGE (subtype = s.mood);
  CREATE EXTENSION citext SCHEMA s;
  CREATE EXTENSION hstore SCHEMA s;`;
