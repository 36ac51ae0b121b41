import type { ClientBase } from "pg";

/**
 * What a schema already has of the kinds that a dump's post-data section creates, as `kind name` or
 * `kind table name`, so that a step that runs again skips what it has done.
 */
export async function existingObjects(client: ClientBase, schema: string): Promise<Set<string>> {
  const { rows } = await client.query<{ key: string }>(
    `WITH rel AS (
       SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1
     )
     SELECT 'relation ' || relname AS key FROM rel
     UNION ALL
     SELECT concat_ws(' ', 'constraint', rel.relname, k.conname) FROM rel JOIN pg_constraint k ON k.conrelid = rel.oid
     UNION ALL
     SELECT concat_ws(' ', 'trigger', rel.relname, t.tgname) FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid
     UNION ALL
     SELECT concat_ws(' ', 'rule', rel.relname, w.rulename) FROM rel JOIN pg_rewrite w ON w.ev_class = rel.oid
     UNION ALL
     SELECT concat_ws(' ', 'policy', rel.relname, p.polname) FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
     UNION ALL
     SELECT 'statistics ' || x.stxname FROM pg_statistic_ext x JOIN pg_namespace n ON n.oid = x.stxnamespace WHERE n.nspname = $1`,
    [schema],
  );
  return new Set(rows.map((row) => row.key));
}
