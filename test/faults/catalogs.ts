import type { TestDatabase } from "../support/index.ts";

/**
 * Everything in the catalogs of a database that a move could leave changed: relations, columns, indexes,
 * constraints, triggers, rules, policies, functions, types, schemas with their comments, publications,
 * subscriptions, and slots.
 */
export async function catalogsOf(database: TestDatabase): Promise<string[]> {
  const rows = await database.rows<{ line: string }>(CATALOGS);
  return rows.map((row) => row.line);
}

const CATALOGS = `
  WITH
  ns AS (SELECT * FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'),
  rel AS (SELECT c.*, n.nspname FROM pg_class c JOIN ns n ON n.oid = c.relnamespace)
  SELECT concat_ws(' ', 'schema', nspname, nspowner, nspacl, obj_description(oid, 'pg_namespace')) AS line FROM ns
  UNION ALL
  SELECT concat_ws(' ', 'relation', oid, nspname, relname, relkind, relreplident, relpersistence, relowner, relacl, reloptions,
    relhastriggers, relhasrules, relrowsecurity, relispopulated, reltablespace, relam)
  FROM rel
  UNION ALL
  SELECT concat_ws(' ', 'column', attrelid, attnum, attname, atttypid, attnotnull, atthasdef, attidentity, attgenerated,
    attstorage, attstattarget, attacl, attoptions)
  FROM pg_attribute WHERE attrelid IN (SELECT oid FROM rel)
  UNION ALL
  SELECT concat_ws(' ', 'index', indexrelid, indrelid, indisprimary, indisunique, indisvalid, indisready, indisreplident, indkey)
  FROM pg_index WHERE indrelid IN (SELECT oid FROM rel)
  UNION ALL
  SELECT concat_ws(' ', 'constraint', oid, conname, contype, convalidated, conrelid, confrelid, conkey)
  FROM pg_constraint WHERE connamespace IN (SELECT oid FROM ns)
  UNION ALL
  SELECT concat_ws(' ', 'trigger', oid, tgrelid, tgname, tgenabled, tgtype)
  FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM rel)
  UNION ALL
  SELECT concat_ws(' ', 'rule', oid, rulename, ev_enabled) FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM rel)
  UNION ALL
  SELECT concat_ws(' ', 'function', oid, proname) FROM pg_proc WHERE pronamespace IN (SELECT oid FROM ns)
  UNION ALL
  SELECT concat_ws(' ', 'type', oid, typname) FROM pg_type WHERE typnamespace IN (SELECT oid FROM ns)
  UNION ALL
  SELECT concat_ws(' ', 'sequence', seqrelid, seqstart, seqincrement, seqmin, seqmax, seqcycle, seqcache) FROM pg_sequence
  UNION ALL
  SELECT concat_ws(' ', 'publication', pubname) FROM pg_publication
  UNION ALL
  SELECT concat_ws(' ', 'subscription', subname) FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
  WHERE d.datname = current_database()
  UNION ALL
  SELECT concat_ws(' ', 'slot', slot_name) FROM pg_replication_slots WHERE database = current_database()
  UNION ALL
  SELECT concat_ws(' ', 'book', m.*) FROM microsharding.microsharding_moves_ m
  UNION ALL
  SELECT concat_ws(' ', 'active', schema_name) FROM microsharding.microsharding_active_
  ORDER BY 1`;
