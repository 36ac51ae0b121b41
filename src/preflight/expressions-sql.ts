import { PARTS_OF_TYPE } from "./parts-of-type.ts";

/**
 * What is computed on the destination with functions that may rely on search_path: those that are neither built in, nor
 * written in C, nor have a search_path of their own. `$1` is the schema. Partitions have what their parents have.
 */
export const EXPRESSIONS = `
  WITH RECURSIVE
  -- Looked up by its oid where it is joined: a table of its own was read once for each expression.
  relation AS NOT MATERIALIZED (
    SELECT c.oid, c.relname::text AS name, c.relkind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1
  ),
  relying AS (
    SELECT p.oid, format('ALTER %s %s SET search_path = %s',
        CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure,
        CASE WHEN n.nspname = $1 THEN format('%I, public', n.nspname) ELSE quote_ident(n.nspname) END) AS remedy
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid >= 16384 AND l.lanname NOT IN ('internal', 'c') AND p.prokind IN ('f', 'p')
      AND NOT EXISTS (SELECT FROM unnest(p.proconfig) setting WHERE starts_with(setting, 'search_path='))
  ),
  calls AS (
    SELECT d.classid, d.objid, r.remedy
    FROM relying r JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = r.oid
    UNION
    SELECT d.classid, d.objid, r.remedy
    FROM relying r
    JOIN pg_operator o ON o.oprcode = r.oid
    JOIN pg_depend d ON d.refclassid = 'pg_operator'::regclass AND d.refobjid = o.oid
  ),
  caller AS (
    SELECT classid, objid, array_agg(DISTINCT remedy) AS remedies FROM calls GROUP BY 1, 2
  ),
  -- Every type that a column's type is built of; one with a check is a domain.
  part(root, typ) AS (
    SELECT a.atttypid, a.atttypid FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid WHERE r.relkind IN ('r', 'p') AND a.attnum > 0
    UNION
    SELECT part.root, x.typ
    FROM part
    JOIN pg_type t ON t.oid = part.typ
    CROSS JOIN ${PARTS_OF_TYPE} x
  ),
  checked(typ, remedies) AS (
    SELECT part.root, c.remedies
    FROM part
    JOIN pg_constraint k ON k.contypid = part.typ
    JOIN caller c ON c.classid = 'pg_constraint'::regclass AND c.objid = k.oid
  ),
  expression(what, classid, objid, relid, sql, remedies) AS (
    SELECT format('CHECK %I of table %I', k.conname, r.name), c.classid, c.objid, r.oid,
      format('(%s)', pg_get_expr(k.conbin, k.conrelid)), c.remedies
    FROM caller c
    JOIN pg_constraint k ON c.classid = 'pg_constraint'::regclass AND k.oid = c.objid AND k.contype = 'c' AND k.coninhcount = 0
    JOIN relation r ON r.oid = k.conrelid
    UNION ALL
    SELECT format('generated column %I of table %I', a.attname, r.name), c.classid, c.objid, r.oid,
      format('(%s)', pg_get_expr(d.adbin, d.adrelid)), c.remedies
    FROM caller c
    JOIN pg_attrdef d ON c.classid = 'pg_attrdef'::regclass AND d.oid = c.objid
    JOIN relation r ON r.oid = d.adrelid
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.adnum AND a.attgenerated = 's' AND a.attinhcount = 0
    UNION ALL
    SELECT format('index %I of table %I', x.relname, r.name), c.classid, c.objid, r.oid,
      (SELECT string_agg(part, ', ') FROM (
         SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnatts) k WHERE i.indkey[k - 1] = 0
         UNION ALL SELECT format('(%s)', pg_get_expr(i.indpred, i.indrelid)) WHERE i.indpred IS NOT NULL
       ) parts(part)), c.remedies
    FROM caller c
    JOIN pg_index i ON c.classid = 'pg_class'::regclass AND i.indexrelid = c.objid
    JOIN pg_class x ON x.oid = i.indexrelid AND NOT x.relispartition
    JOIN relation r ON r.oid = i.indrelid
    UNION ALL
    SELECT format('the partition key of table %I', r.name), c.classid, c.objid, r.oid, pg_get_expr(p.partexprs, p.partrelid), c.remedies
    FROM caller c
    JOIN pg_partitioned_table p ON c.classid = 'pg_class'::regclass AND p.partrelid = c.objid AND p.partexprs IS NOT NULL
    JOIN relation r ON r.oid = p.partrelid
    UNION ALL
    SELECT format('statistics %I of table %I', s.stxname, r.name), c.classid, c.objid, r.oid,
      (SELECT string_agg(format('(%s)', part), ', ') FROM unnest(pg_get_statisticsobjdef_expressions(s.oid)) part), c.remedies
    FROM caller c
    JOIN pg_statistic_ext s ON c.classid = 'pg_statistic_ext'::regclass AND s.oid = c.objid AND s.stxexprs IS NOT NULL
    JOIN relation r ON r.oid = s.stxrelid
    UNION ALL
    SELECT format('the domain of column %I of table %I', a.attname, r.name), 'pg_class'::regclass::oid, 0::oid, r.oid,
      format('%I::text::%s', a.attname, format_type(a.atttypid, a.atttypmod)), checked.remedies
    FROM checked
    JOIN pg_attribute a ON a.atttypid = checked.typ AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0
    JOIN relation r ON r.oid = a.attrelid AND r.relkind IN ('r', 'p')
  )
  SELECT e.what, r.name AS table, e.sql, e.remedies,
    ARRAY(
      SELECT DISTINCT quote_ident(a.attname)
      FROM pg_depend d
      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attgenerated = ''
      WHERE d.classid = e.classid AND d.objid = e.objid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = e.relid
    ) AS columns
  FROM expression e JOIN relation r ON r.oid = e.relid
  UNION ALL
  SELECT format('materialized view %I', r.name), NULL, rtrim(pg_get_viewdef(r.oid), ';'), seen.remedies, '{}'
  FROM relation r
  JOIN pg_class m ON m.oid = r.oid AND m.relispopulated
  CROSS JOIN (
    -- It may read from a view that calls the function.
    SELECT array_agg(DISTINCT remedy) AS remedies
    FROM calls c JOIN pg_rewrite w ON c.classid = 'pg_rewrite'::regclass AND w.oid = c.objid JOIN relation v ON v.oid = w.ev_class
  ) seen
  WHERE r.relkind = 'm' AND seen.remedies IS NOT NULL
  ORDER BY 1`;
