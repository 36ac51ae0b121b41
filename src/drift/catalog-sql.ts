import { LEDGER_TABLE } from "../postgres/api/ledger.ts";
import { ownNumbersSql } from "../sequences/own-values.ts";

/** The relations of the shards, without the ledger. */
export const RELATIONS = `
  rel AS MATERIALIZED (
    SELECT shard.oid AS shard, shard.no, c.*
    FROM shard JOIN pg_class c ON c.relnamespace = shard.oid
    WHERE c.relname <> '${LEDGER_TABLE}'
  )`;

/** The name of a function `p`, with its arguments. */
export const FUNCTION_NAME =
  "quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')'";

const DESCRIBED = ["pg_class", "pg_proc", "pg_type", "pg_constraint", "pg_statistic_ext", "pg_default_acl"];

/** Operators, collations, text search configurations and whatever else a schema can contain, as `o`. */
export const OTHERS = `
    FROM shard
    JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = shard.oid
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) o
    WHERE d.classid <> ALL (array[${DESCRIBED.map((name) => `'${name}'`).join(", ")}]::regclass[])
      AND d.deptype = 'n' AND d.classid <> 'pg_trigger'::regclass`;

/**
 * The contents of a schema, as one row for each object: shard, kind, parent, name, data (JSON), and `made`, by which
 * objects that build on one another can be sorted. Names of tables are deparsed under an empty search_path, so
 * that everything outside pg_catalog is qualified.
 *
 * The query expects `shard (oid, name, no)`. Where versions of PostgreSQL keep something in different ways, it reads only
 * what they have in common: a NOT NULL is a property of its column here, even if it is a constraint (18).
 */
export const objectsSql = (): string => `
  ${RELATIONS},
  object(shard, kind, parent, name, made, data) AS (
    ${[schemas(), relations(), columns(), constraints(), indexes(), sequences(), triggers(), rules(), policies()].join(" UNION ALL ")}
    UNION ALL ${[functions(), types(), domainConstraints(), statistics(), defaultGrants(), others()].join(" UNION ALL ")}
  )`;

/** Privileges in addition to (+) or missing from (-) those that an owner and PUBLIC have without any GRANT. */
function grants(acl: string, type: string, owner: string): string {
  const entries = "grantee, privilege_type, is_grantable";
  const given = `SELECT ${entries} FROM aclexplode(${acl})`;
  const usual = `SELECT ${entries} FROM aclexplode(acldefault('${type}', ${owner}))`;
  return `CASE WHEN ${acl} IS NOT NULL THEN (
    SELECT json_agg(json_build_array(sign, CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, privilege_type, is_grantable)
      ORDER BY sign, grantee <> 0, pg_get_userbyid(grantee), privilege_type, is_grantable)
    FROM (SELECT '+' AS sign, more.* FROM (${given} EXCEPT ${usual}) more
      UNION ALL SELECT '-', less.* FROM (${usual} EXCEPT ${given}) less) AS differing
  ) END`;
}

/** SQL that excludes objects of extensions, which, like the types of ranges and tables, are described with their owner. */
const notOfExtension = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;

function schemas(): string {
  return `
    SELECT shard.oid, 'schema', NULL::text, ''::text, 0::bigint, json_build_object(
      'owner', pg_get_userbyid(n.nspowner), 'grants', ${grants("n.nspacl", "n", "n.nspowner")})
    FROM shard JOIN pg_namespace n ON n.oid = shard.oid`;
}

function relations(): string {
  return `
    SELECT c.shard, 'relation', NULL, c.relname, c.oid::bigint, json_build_object(
      'kind', c.relkind, 'persistence', c.relpersistence, 'owner', pg_get_userbyid(c.relowner),
      'grants', ${grants("c.relacl", "r", "c.relowner")},
      'options', array(SELECT o FROM unnest(c.reloptions) o ORDER BY o COLLATE "C"),
      'toastOptions', array(SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid ORDER BY o COLLATE "C"),
      'rowSecurity', c.relrowsecurity, 'forceRowSecurity', c.relforcerowsecurity,
      'identity', c.relreplident,
      'identityIndex', CASE WHEN c.relreplident = 'i' THEN
        (SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident) END,
      'method', (SELECT amname FROM pg_am WHERE oid = c.relam),
      'partitionKey', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
      'bound', pg_get_expr(c.relpartbound, c.oid),
      'parents', array(SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid ORDER BY inhseqno),
      'type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
      'order', array(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
      'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)
    FROM rel c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')`;
}

function columns(): string {
  return `
    SELECT c.shard, 'column', c.relname, a.attname, a.attnum::bigint, json_build_object(
      'relationKind', c.relkind, 'type', format_type(a.atttypid, a.atttypmod),
      'collation', CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0 THEN
        (SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname)
         FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) END,
      'notNull', a.attnotnull, 'identity', a.attidentity, 'generated', a.attgenerated,
      'default', pg_get_expr(d.adbin, d.adrelid),
      'storage', a.attstorage, 'usualStorage', t.typstorage, 'compression', a.attcompression,
      'statistics', NULLIF(a.attstattarget, -1),
      -- 15.20 keeps a number among them that differs from shard to shard.
      'options', (SELECT array_agg(o ORDER BY o) FROM unnest(a.attoptions) o WHERE NOT starts_with(o, 'pg_attver=')),
      'inherited', a.attinhcount > 0 AND NOT a.attislocal OR c.reloftype <> 0,
      'grants', ${grants("a.attacl", "c", "c.relowner")})
    FROM rel c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p', 'f', 'v')`;
}

function constraints(): string {
  return `
    SELECT c.shard, 'constraint', c.relname, k.conname, k.oid::bigint, json_build_object(
      'type', k.contype, 'definition', pg_get_constraintdef(k.oid), 'validated', k.convalidated)
    FROM rel c JOIN pg_constraint k ON k.conrelid = c.oid
    WHERE k.contype IN ('c', 'p', 'u', 'x', 'f') AND k.conparentid = 0 AND k.conislocal`;
}

function indexes(): string {
  return `
    SELECT c.shard, 'index', c.relname, x.relname, x.oid::bigint, json_build_object(
      'definition', pg_get_indexdef(i.indexrelid), 'valid', i.indisvalid, 'ofView', c.relkind = 'm')
    FROM rel c
    JOIN pg_index i ON i.indrelid = c.oid
    JOIN pg_class x ON x.oid = i.indexrelid
    WHERE c.relkind IN ('r', 'p', 'm')
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
      AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = i.indexrelid)`;
}

/** Sequences with values of their own differ from shard to shard on purpose: a word takes the place of their numbers. */
function sequences(): string {
  const ownNumbers = ownNumbersSql("s", "c.no");
  return `
    SELECT c.shard, 'sequence', NULL, c.relname, c.oid::bigint, json_build_object(
      'type', format_type(s.seqtypid, NULL), 'cache', s.seqcache, 'cycle', s.seqcycle, 'persistence', c.relpersistence,
      'numbers', CASE own.mode WHEN 'none' THEN array[s.seqincrement, s.seqmin, s.seqmax, s.seqstart]::text[]
        WHEN 'interleave' THEN array[own.mode, sign(s.seqincrement)::text, s.seqmax::text] ELSE array[own.mode, sign(s.seqincrement)::text, (s.seqmax::numeric - s.seqmin + 1)::text] END,
      'owner', pg_get_userbyid(c.relowner), 'grants', ${grants("c.relacl", "s", "c.relowner")},
      'table', t.relname, 'column', a.attname, 'identity', d.deptype = 'i')
    FROM rel c
    JOIN pg_sequence s ON s.seqrelid = c.oid
    CROSS JOIN LATERAL (SELECT CASE WHEN c.no IS NULL THEN 'none'
      WHEN ${ownNumbers.interleave} THEN 'interleave' WHEN ${ownNumbers.range} THEN 'range' ELSE 'none' END AS mode) own
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
      AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_class t ON t.oid = d.refobjid
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE c.relkind = 'S'`;
}

/** Triggers. One that a partition has from its parent counts only if its state differs. */
function triggers(): string {
  return `
    SELECT c.shard, 'trigger', c.relname, t.tgname, t.oid::bigint, json_build_object(
      'relationKind', c.relkind, 'definition', CASE WHEN t.tgparentid = 0 THEN pg_get_triggerdef(t.oid) END, 'enabled', t.tgenabled)
    FROM rel c
    JOIN pg_trigger t ON t.tgrelid = c.oid
    LEFT JOIN pg_trigger p ON p.oid = t.tgparentid
    -- Those of keys are internal as well; in 14 also those that a partition has from its parent.
    WHERE (NOT t.tgisinternal OR p.oid IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't'))
      AND p.tgenabled IS DISTINCT FROM t.tgenabled`;
}

function rules(): string {
  return `
    SELECT c.shard, 'rule', c.relname, r.rulename, r.oid::bigint, json_build_object(
      'definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled)
    FROM rel c JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename <> '_RETURN'`;
}

function policies(): string {
  return `
    SELECT c.shard, 'policy', c.relname, p.polname, p.oid::bigint, json_build_object(
      'command', p.polcmd, 'permissive', p.polpermissive,
      'roles', array(SELECT CASE WHEN r <> 0 THEN pg_get_userbyid(r) END FROM unnest(p.polroles) r ORDER BY r <> 0, 1),
      'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
    FROM rel c JOIN pg_policy p ON p.polrelid = c.oid`;
}

function functions(): string {
  return `
    SELECT shard.oid, 'function', NULL, ${FUNCTION_NAME}, p.oid::bigint,
      json_build_object(
        'kind', p.prokind, 'owner', pg_get_userbyid(p.proowner), 'grants', ${grants("p.proacl", "f", "p.proowner")},
        'result', pg_get_function_result(p.oid),
        'definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE (
          SELECT concat_ws(', ', 'sfunc = ' || aggtransfn::regproc, 'stype = ' || format_type(aggtranstype, NULL),
            'finalfunc = ' || aggfinalfn::regproc, 'combinefunc = ' || aggcombinefn::regproc, 'initcond = ' || agginitval)
          FROM pg_aggregate WHERE aggfnoid = p.oid) END)
    FROM shard JOIN pg_proc p ON p.pronamespace = shard.oid
    WHERE ${notOfExtension("pg_proc", "p.oid")}
      -- The constructors of a range type are created with it.
      AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')`;
}

function types(): string {
  return `
    SELECT shard.oid, 'type', NULL, t.typname, t.oid::bigint, json_build_object(
      'kind', t.typtype, 'owner', pg_get_userbyid(t.typowner), 'grants', ${grants("t.typacl", "T", "t.typowner")},
      'labels', array(SELECT enumlabel FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
      'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
      'collation', CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN
        (SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname)
         FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = t.typcollation) END,
      'default', CASE WHEN t.typtype = 'd' THEN pg_get_expr(t.typdefaultbin, 0) END, 'notNull', t.typnotnull,
      'attributes', array(SELECT quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
        FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
      'range', (SELECT concat_ws(', ', 'subtype = ' || format_type(rngsubtype, NULL),
        'subtype_diff = ' || NULLIF(rngsubdiff, 0)::regproc, 'canonical = ' || NULLIF(rngcanonical, 0)::regproc,
        'multirange_type_name = ' || format_type(rngmultitypid, NULL))
        FROM pg_range WHERE rngtypid = t.oid))
    FROM shard
    JOIN pg_type t ON t.typnamespace = shard.oid
    LEFT JOIN pg_type b ON b.oid = t.typbasetype
    WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND (SELECT relkind = 'c' FROM pg_class WHERE oid = t.typrelid))
      AND ${notOfExtension("pg_type", "t.oid")}`;
}

function domainConstraints(): string {
  return `
    SELECT shard.oid, 'domain constraint', t.typname, k.conname, k.oid::bigint, json_build_object(
      'definition', pg_get_constraintdef(k.oid), 'validated', k.convalidated)
    FROM shard
    JOIN pg_type t ON t.typnamespace = shard.oid AND t.typtype = 'd'
    JOIN pg_constraint k ON k.contypid = t.oid AND k.contype = 'c'`;
}

function statistics(): string {
  return `
    SELECT shard.oid, 'statistics', NULL, x.stxname, x.oid::bigint, json_build_object(
      'definition', pg_get_statisticsobjdef(x.oid), 'columns', array(SELECT quote_ident(a.attname) FROM pg_attribute a
        WHERE a.attrelid = x.stxrelid AND a.attnum = ANY (x.stxkeys) ORDER BY a.attnum), 'owner', pg_get_userbyid(x.stxowner))
    FROM shard JOIN pg_statistic_ext x ON x.stxnamespace = shard.oid
    WHERE x.stxrelid IN (SELECT oid FROM rel)`;
}

function defaultGrants(): string {
  return `
    SELECT shard.oid, 'default privileges', NULL, pg_get_userbyid(d.defaclrole) || ' ' || d.defaclobjtype::text, d.oid::bigint,
      json_build_object('role', pg_get_userbyid(d.defaclrole), 'type', d.defaclobjtype, 'grants', (
        SELECT json_agg(json_build_array('+', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, privilege_type, is_grantable)
          ORDER BY grantee <> 0, pg_get_userbyid(grantee), privilege_type)
        FROM aclexplode(d.defaclacl)))
    FROM shard JOIN pg_default_acl d ON d.defaclnamespace = shard.oid`;
}

/** Of these, only the existence is compared. */
const others = (): string => `
    SELECT shard.oid, 'other', NULL, o.type || ' ' || o.identity, d.objid::bigint, json_build_object('type', o.type)
    ${OTHERS}`;
