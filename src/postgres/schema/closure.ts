/**
 * Head of a query in which `$1` is the name of a schema: `ns` is the schema, and `inside(classid, objid)` is
 * everything in it, found by pg_depend alone, so that no kind of object can be forgotten: the objects in the
 * schema, and their parts (indexes, constraints, defaults, triggers, rules, policies).
 *
 * Not included: publications and extensions, partitions and statistics objects in other schemas, and TOAST
 * tables, which depend on nothing else.
 */
export const CLOSURE = `
  WITH RECURSIVE
  ns AS (SELECT oid FROM pg_namespace WHERE nspname = $1),
  inside(classid, objid) AS (
    SELECT 'pg_namespace'::regclass::oid, oid FROM ns
    UNION
    SELECT d.classid, d.objid
    FROM inside i
    JOIN pg_depend d ON d.refclassid = i.classid AND d.refobjid = i.objid
    WHERE (d.deptype IN ('a', 'i', 'P', 'S') OR i.classid = 'pg_namespace'::regclass)
      AND d.classid <> ALL (array_remove(ARRAY['pg_publication_rel'::regclass, 'pg_extension'::regclass,
        to_regclass('pg_catalog.pg_publication_namespace')]::oid[], NULL))
      AND NOT EXISTS (
        SELECT FROM pg_class c
        WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relnamespace <> (SELECT oid FROM ns)
      )
      AND NOT EXISTS (
        SELECT FROM pg_statistic_ext x
        WHERE d.classid = 'pg_statistic_ext'::regclass AND x.oid = d.objid AND x.stxnamespace <> (SELECT oid FROM ns)
      )
  )`;

/**
 * Continues CLOSURE: `inbound(classid, objid, objsubid, refclassid, refobjid, follows)` contains the objects outside the
 * schema that are built on something in it, each with one object on which it is built. `follows` is true for objects
 * that only look into the schema (views, functions, foreign tables), and can live without it.
 */
export const INBOUND = `,
  inbound AS (
    SELECT DISTINCT ON (d.classid, d.objid) d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid,
      d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass)
        OR EXISTS (SELECT FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('v', 'm', 'f'))
        AS follows
    FROM inside i
    JOIN pg_depend d ON d.refclassid = i.classid AND d.refobjid = i.objid
    WHERE d.deptype IN ('n', 'a')
      AND d.classid <> ALL (array_remove(ARRAY['pg_publication_rel'::regclass, 'pg_extension'::regclass,
        to_regclass('pg_catalog.pg_publication_namespace')]::oid[], NULL))
      AND (d.classid, d.objid) NOT IN (SELECT classid, objid FROM inside)
      -- A temporary table of some session's own, made LIKE one of the schema, goes on with the types and sequences.
      AND NOT EXISTS (
        SELECT FROM pg_class c WHERE c.relpersistence = 't' AND c.oid = CASE d.classid
          WHEN 'pg_class'::regclass THEN d.objid
          WHEN 'pg_attrdef'::regclass THEN (SELECT adrelid FROM pg_attrdef WHERE oid = d.objid)
          WHEN 'pg_constraint'::regclass THEN (SELECT conrelid FROM pg_constraint WHERE oid = d.objid)
          WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = d.objid)
        END
      )
    ORDER BY d.classid, d.objid, d.objsubid, d.refobjsubid DESC
  )`;
