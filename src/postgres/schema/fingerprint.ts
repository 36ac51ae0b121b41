import type { ClientBase } from "pg";

import { FENCE } from "./copy-names.ts";

/**
 * A digest of everything in a schema that DDL can change, to answer only one question: is the schema on this
 * server still what it was when its structure was copied? It reads the raw catalogs (no deparsing), so
 * that it is fast enough to run under the write lock; digests from two servers are not comparable. No part of
 * it may depend on a setting of the session (search_path, extra_float_digits, bytea_output).
 *
 * Deliberately omitted: relreplident (the move itself changes it on tables without a key), statistics
 * targets, our own fence, and everything that VACUUM and ANALYZE touch. So is what REINDEX CONCURRENTLY changes: indexes are known by
 * their names, and those that are not valid do not count, just as pg_dump leaves them out.
 */
export async function schemaFingerprint(client: ClientBase, schema: string): Promise<string> {
  const { rows } = await client.query<{ fingerprint: string }>({
    name: "shardferry_fingerprint",
    text: FINGERPRINT_SQL,
    values: [schema],
  });
  return rows[0]?.fingerprint ?? "";
}

/** The query for the fingerprint of the schema `$1`. */
export const FINGERPRINT_SQL = `
  WITH
  ns AS MATERIALIZED (SELECT * FROM pg_namespace WHERE nspname = $1),
  rel AS MATERIALIZED (
    SELECT c.*, CASE WHEN c.relkind IN ('i', 'I') THEN 'index ' || c.relname ELSE c.oid::text END AS id
    FROM pg_class c
    JOIN ns ON c.relnamespace = ns.oid
    WHERE c.relkind <> 'i' OR EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = c.oid AND i.indisvalid)
  ),
  line AS (
    SELECT concat_ws('|', 'schema', nspowner, nspacl) AS text FROM ns
    UNION ALL
    SELECT concat_ws('|', 'relation', id, relname, relkind, relpersistence, relowner, relacl, reloptions,
      relrowsecurity, relforcerowsecurity, relispartition, relpartbound, reloftype, relam)
    FROM rel
    UNION ALL
    SELECT concat_ws('|', 'column', rel.id, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity,
      a.attgenerated, a.attisdropped, a.attcollation, a.attstorage, a.attcompression,
      nullif(regexp_replace(a.attoptions::text, ',?pg_attver=[0-9]+', ''), '{}'), a.attacl)
    FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid
    WHERE a.attnum > 0 AND rel.relkind <> 't'
    UNION ALL
    SELECT concat_ws('|', 'default', d.adrelid, d.adnum, d.adbin)
    FROM rel JOIN pg_attrdef d ON d.adrelid = rel.oid
    UNION ALL
    SELECT concat_ws('|', 'constraint', k.oid, k.conname, k.contype, k.convalidated, k.condeferrable, k.condeferred,
      k.conkey, k.confkey, k.confrelid, k.conbin)
    FROM ns JOIN pg_constraint k ON k.connamespace = ns.oid
    UNION ALL
    SELECT concat_ws('|', 'index', rel.id, i.indrelid, i.indisunique, i.indisvalid, i.indkey, i.indclass,
      regexp_replace(concat_ws('|', i.indexprs, i.indpred), ' :location -?[0-9]+', '', 'g'))
    FROM rel JOIN pg_index i ON i.indrelid = rel.oid
    WHERE rel.relkind <> 't'
    UNION ALL
    SELECT concat_ws('|', 'trigger', t.oid, t.tgname, t.tgenabled, t.tgtype, t.tgfoid, t.tgqual, encode(t.tgargs, 'hex'))
    FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid
    WHERE NOT t.tgisinternal AND t.tgname <> '${FENCE}'
    UNION ALL
    SELECT concat_ws('|', 'rule', w.oid, w.rulename, w.ev_enabled, w.ev_qual, w.ev_action)
    FROM rel JOIN pg_rewrite w ON w.ev_class = rel.oid
    UNION ALL
    SELECT concat_ws('|', 'policy', p.oid, p.polname, p.polcmd, p.polpermissive, p.polroles, p.polqual, p.polwithcheck)
    FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
    UNION ALL
    SELECT concat_ws('|', 'parent', rel.id, h.inhparent, h.inhseqno)
    FROM rel JOIN pg_inherits h ON h.inhrelid = rel.oid
    UNION ALL
    SELECT concat_ws('|', 'sequence', s.seqrelid, s.seqtypid, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
    FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid
    UNION ALL
    SELECT concat_ws('|', 'function', p.oid, p.proname, p.proowner, p.proacl, p.proconfig, p.prosecdef, p.provolatile,
      p.proargtypes, p.prorettype, p.proargdefaults, md5(p.prosrc), md5(p.prosqlbody::text))
    FROM ns JOIN pg_proc p ON p.pronamespace = ns.oid AND p.proname <> '${FENCE}'
    UNION ALL
    SELECT concat_ws('|', 'type', t.oid, t.typname, t.typtype, t.typowner, t.typacl, t.typnotnull, t.typbasetype, t.typdefault)
    FROM ns JOIN pg_type t ON t.typnamespace = ns.oid
    UNION ALL
    SELECT concat_ws('|', 'label', e.enumtypid, encode(float4send(e.enumsortorder), 'hex'), e.enumlabel)
    FROM ns JOIN pg_type t ON t.typnamespace = ns.oid JOIN pg_enum e ON e.enumtypid = t.oid
    UNION ALL
    SELECT concat_ws('|', 'statistics', x.oid, x.stxname, x.stxkeys, x.stxkind, x.stxexprs)
    FROM ns JOIN pg_statistic_ext x ON x.stxnamespace = ns.oid
    UNION ALL
    SELECT concat_ws('|', 'comment', rel.id, d.objsubid, d.description)
    FROM rel JOIN pg_description d ON d.objoid = rel.oid AND d.classoid = 'pg_class'::regclass
  )
  SELECT md5(string_agg(text, E'\\n' ORDER BY text COLLATE "C")) AS fingerprint FROM line`;
