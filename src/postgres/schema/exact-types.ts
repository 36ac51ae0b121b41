/**
 * The built-in types whose equality is bitwise: what is equal is the same, down to the text that a client reads. Only
 * values of these can be told apart by comparing them. Not among them are types of which equal values can look different:
 * float (0 and -0), numeric (1.0 and 1.00), interval ('1 day' and '24 hours'), jsonb, tsquery, char without a length
 * (trailing blanks); types without equality (json, xml, point); and types of extensions (citext), of which nobody knows.
 */
const EXACT = [
  ...[
    "bool",
    "char",
    "bytea",
    "int2",
    "int4",
    "int8",
    "oid",
    "money",
    "uuid",
    "pg_lsn",
    "xid",
    "xid8",
    "cid",
    "tid",
  ],
  ...["name", "text", "varchar", "bit", "varbit", "tsvector", "inet", "cidr", "macaddr", "macaddr8"],
  ...["date", "time", "timetz", "timestamp", "timestamptz"],
];

/** Types that are exact where the column limits their length or scale: then all values are padded, or rounded, to it. */
const EXACT_IF_LIMITED = ["bpchar", "numeric"];

const oids = (types: readonly string[]): string =>
  types.map((type) => `'pg_catalog."${type}"'::regtype`).join(", ");

/**
 * SQL that is true if a type, with its modifier and collation, distinguishes any two values that are not the same. The
 * types of which it consists (elements of arrays, columns, bounds of ranges, what a domain is based on) are to be asked
 * one by one.
 *
 * @param type the alias of its row in pg_type.
 */
export const isExactSql = (type: string, modifier: string, collation: string): string =>
  `((${type}.typtype IN ('d', 'c', 'e', 'r', 'm')
     OR (${type}.typcategory = 'A' AND ${type}.typelem <> 0)
     OR ${type}.oid IN (${oids(EXACT)})
     OR (${type}.oid IN (${oids(EXACT_IF_LIMITED)}) AND ${modifier} >= 0))
   AND NOT EXISTS (SELECT FROM pg_collation k WHERE k.oid = ${collation} AND NOT k.collisdeterministic))`;
