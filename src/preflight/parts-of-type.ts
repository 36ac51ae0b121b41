/**
 * A lateral piece of SQL: the types that a type, the row `t` of pg_type, is built of, as `typ`: what a domain is based on,
 * the elements of an array, the columns of a composite type, and what a range consists of.
 */
export const PARTS_OF_TYPE = `LATERAL (
  SELECT t.typbasetype AS typ WHERE t.typtype = 'd'
  UNION ALL SELECT t.typelem WHERE t.typelem <> 0 AND t.typcategory = 'A'
  UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0
  UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
)`;
