import { FUNCTION_NAME, OTHERS, RELATIONS } from "./catalog-sql.ts";

/**
 * What the facts of a schema depend on, as the server has recorded it: shard, the id of a fact, and the id of another
 * one that it needs. Ids are those that `factsOf` makes; some are of no fact. The query expects `shard (oid, name, no)`.
 */
export const dependenciesSql = (): string => `
  ${RELATIONS},
  address(shard, classid, objid, objsubid, id) AS MATERIALIZED (
    ${[relations(), indexes(), constraints(), values(), firing(), functions(), types(), others()].join(" UNION ALL ")}
  ),
  dependency(shard, id, needs) AS (${[recorded(), inherited(), identities()].join(" UNION ")})`;

const ofColumn = (c: string, a: string): string => `${c}.relname || '.' || ${a}.attname`;

/** Relations, their columns and, as types that they are, composite types. The columns of a view are a part of it. */
function relations(): string {
  return `
    SELECT c.shard, 'pg_class'::regclass::oid, c.oid, 0, kind || ' ' || c.relname
    FROM rel c, LATERAL (SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'relation' END AS kind) named
    WHERE c.relkind NOT IN ('i', 'I')
    UNION ALL
    SELECT c.shard, 'pg_class'::regclass, c.oid, a.attnum, CASE c.relkind WHEN 'c' THEN 'type ' || c.relname
      WHEN 'v' THEN 'relation ' || c.relname WHEN 'm' THEN 'relation ' || c.relname ELSE 'column ' || ${ofColumn("c", "a")} END
    FROM rel c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')`;
}

/** An index of a constraint is the constraint. */
function indexes(): string {
  return `
    SELECT c.shard, 'pg_class'::regclass, x.oid, 0, coalesce('constraint ' || c.relname || '.' || k.conname, 'index ' || x.relname)
    FROM rel c
    JOIN pg_index i ON i.indrelid = c.oid
    JOIN pg_class x ON x.oid = i.indexrelid
    LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.contype IN ('p', 'u', 'x')`;
}

function constraints(): string {
  return `
    SELECT c.shard, 'pg_constraint'::regclass, k.oid, 0, 'constraint ' || c.relname || '.' || k.conname
    FROM rel c JOIN pg_constraint k ON k.conrelid = c.oid
    UNION ALL
    SELECT shard.oid, 'pg_constraint'::regclass, k.oid, 0, 'constraint ' || t.typname || '.' || k.conname
    FROM shard JOIN pg_type t ON t.typnamespace = shard.oid JOIN pg_constraint k ON k.contypid = t.oid`;
}

/** Defaults and the expressions of generated columns. */
function values(): string {
  return `
    SELECT c.shard, 'pg_attrdef'::regclass, d.oid, 0,
      CASE a.attgenerated WHEN '' THEN 'default column ' ELSE 'expression column ' END || ${ofColumn("c", "a")}
    FROM rel c
    JOIN pg_attrdef d ON d.adrelid = c.oid
    JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum`;
}

/** Triggers, rules and policies. Of a trigger that a partition has from its parent, only the state is a fact. */
function firing(): string {
  return `
    SELECT c.shard, 'pg_trigger'::regclass, t.oid, 0,
      CASE t.tgparentid WHEN 0 THEN 'trigger ' ELSE 'state trigger ' END || c.relname || '.' || t.tgname
    FROM rel c JOIN pg_trigger t ON t.tgrelid = c.oid
    UNION ALL
    SELECT c.shard, 'pg_rewrite'::regclass, r.oid, 0,
      CASE r.rulename WHEN '_RETURN' THEN 'relation ' || c.relname ELSE 'rule ' || c.relname || '.' || r.rulename END
    FROM rel c JOIN pg_rewrite r ON r.ev_class = c.oid
    UNION ALL
    SELECT c.shard, 'pg_policy'::regclass, p.oid, 0, 'policy ' || c.relname || '.' || p.polname
    FROM rel c JOIN pg_policy p ON p.polrelid = c.oid`;
}

function functions(): string {
  return `
    SELECT shard.oid, 'pg_proc'::regclass, p.oid, 0, 'function ' || ${FUNCTION_NAME}
    FROM shard JOIN pg_proc p ON p.pronamespace = shard.oid
    UNION ALL
    SELECT shard.oid, 'pg_statistic_ext'::regclass, x.oid, 0, 'statistics ' || x.stxname
    FROM shard JOIN pg_statistic_ext x ON x.stxnamespace = shard.oid`;
}

/** Types, with their arrays. The row type of a table is the table, and the multirange of a range is the range. */
function types(): string {
  return `
    SELECT named.shard, 'pg_type'::regclass, unnest(array[t.oid, t.typarray]), 0, named.id
    FROM (
      SELECT shard.oid AS shard, t.oid, CASE WHEN c.relkind <> 'c' THEN 'relation ' ELSE 'type ' END || t.typname AS id
      FROM shard JOIN pg_type t ON t.typnamespace = shard.oid LEFT JOIN pg_class c ON c.oid = t.typrelid
      WHERE t.typtype IN ('e', 'd', 'r', 'c')
      UNION ALL
      SELECT shard.oid, r.rngmultitypid, 'type ' || t.typname
      FROM shard JOIN pg_type t ON t.typnamespace = shard.oid JOIN pg_range r ON r.rngtypid = t.oid
    ) named
    JOIN pg_type t ON t.oid = named.oid`;
}

/** What is internal to an object, as functions are to an operator class, is the object. */
function others(): string {
  return `
    SELECT named.shard, part.classid, part.objid, 0, named.id
    FROM (SELECT shard.oid AS shard, d.classid, d.objid, 'other ' || o.type || ' ' || o.identity AS id ${OTHERS}) named
    CROSS JOIN LATERAL (
      SELECT named.classid, named.objid
      UNION ALL
      SELECT i.classid, i.objid FROM pg_depend i
      WHERE i.refclassid = named.classid AND i.refobjid = named.objid AND i.deptype = 'i'
    ) part`;
}

/** The server's own records, each said of the fact whose DDL it is about. */
function recorded(): string {
  return `
    SELECT d.shard, CASE
      WHEN d.id LIKE 'column %' THEN
        CASE WHEN p.refclassid IN ('pg_type'::regclass, 'pg_collation'::regclass) THEN 'type ' ELSE 'expression ' END || d.id
      WHEN d.id LIKE 'sequence %' AND r.id LIKE 'column %' THEN 'owned by ' || d.id
      WHEN p.classid = 'pg_class'::regclass AND d.id LIKE 'relation %' AND p.refclassid = p.classid AND p.refobjsubid = 0
        THEN 'parent ' || p.refobjid::regclass || ' ' || d.id
      ELSE d.id END, r.id
    FROM address d
    JOIN pg_depend p ON p.classid = d.classid AND p.objid = d.objid AND p.objsubid = d.objsubid
    JOIN address r ON r.classid = p.refclassid AND r.objid = p.refobjid AND r.objsubid = p.refobjsubid AND r.shard = d.shard
    WHERE d.id <> r.id`;
}

/** A column that a table has from its parent needs the parent's column; one that it has from its type needs the type. */
function inherited(): string {
  return `
    SELECT c.shard, 'column ' || ${ofColumn("c", "a")}, 'column ' || ${ofColumn("parent", "a")}
    FROM rel c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount > 0 AND NOT a.attislocal
    JOIN pg_inherits i ON i.inhrelid = c.oid
    JOIN rel parent ON parent.oid = i.inhparent
    JOIN pg_attribute b ON b.attrelid = parent.oid AND b.attname = a.attname AND NOT b.attisdropped
    UNION
    SELECT c.shard, 'column ' || ${ofColumn("c", "a")}, 'type ' || t.relname
    FROM rel c
    JOIN rel t ON t.reltype = c.reloftype AND t.relkind = 'c'
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`;
}

/** The index that is the replica identity of its table. */
function identities(): string {
  return `
    SELECT c.shard, 'replica identity relation ' || c.relname, x.id
    FROM rel c
    JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident
    JOIN address x ON x.classid = 'pg_class'::regclass AND x.objid = i.indexrelid
    WHERE c.relreplident = 'i'`;
}
