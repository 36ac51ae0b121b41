import type { ClientBase } from "pg";

import type { Statement } from "./dump-statements.ts";

/** A unique key for an object; names may contain any character, so they are not simply joined. */
const key = (kind: string, relation: string | null, name: string | null): string =>
  JSON.stringify([kind, relation, name]);

/** The key of the object that a statement creates. */
export const keyOf = ({ creates, relation, name }: Statement): string =>
  creates === "index" || creates === "relation" || creates === "statistics"
    ? key(creates === "statistics" ? "statistics" : "relation", null, name)
    : key(creates ?? "", relation, name);

/** The key of a table, an index or a view. */
export const relationKey = (name: string | null): string => key("relation", null, name);

/**
 * The keys of the objects in a schema, of the kinds that a dump's post-data section creates, so that a step
 * that runs again skips what it has done.
 */
export async function existingObjects(client: ClientBase, schema: string): Promise<Set<string>> {
  const { rows } = await client.query<{ kind: string; relation: string | null; name: string }>(
    `WITH
     ns AS (SELECT oid FROM pg_namespace WHERE nspname = $1),
     rel AS (SELECT c.oid, c.relname FROM pg_class c JOIN ns ON ns.oid = c.relnamespace)
     SELECT 'relation' AS kind, NULL AS relation, relname AS name FROM rel
     UNION ALL
     SELECT 'constraint', rel.relname, k.conname FROM rel JOIN pg_constraint k ON k.conrelid = rel.oid
     UNION ALL
     SELECT 'domain constraint', t.typname, k.conname
     FROM ns JOIN pg_type t ON t.typnamespace = ns.oid JOIN pg_constraint k ON k.contypid = t.oid
     UNION ALL
     SELECT 'trigger', rel.relname, t.tgname FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid
     UNION ALL
     SELECT 'rule', rel.relname, w.rulename FROM rel JOIN pg_rewrite w ON w.ev_class = rel.oid
     UNION ALL
     SELECT 'policy', rel.relname, p.polname FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
     UNION ALL
     SELECT 'statistics', NULL, x.stxname FROM ns JOIN pg_statistic_ext x ON x.stxnamespace = ns.oid`,
    [schema],
  );
  return new Set(rows.map(({ kind, relation, name }) => key(kind, relation, name)));
}
