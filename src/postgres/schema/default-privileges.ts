import type { ClientBase } from "pg";

/**
 * Undoes what the database's default privileges have added to or removed from the privileges of a schema's objects when
 * they were created: a dump contains only what differs from PostgreSQL's own defaults. To be called after the
 * statements of a dump that create and before those that grant, since it also removes what was granted.
 */
export async function undoDefaultPrivileges(client: ClientBase, schema: string): Promise<void> {
  const { rowCount: some } = await client.query("SELECT FROM pg_default_acl LIMIT 1");
  if (!some) return;
  const { rows } = await client.query<{ sql: string }>(UNDO_SQL, [schema]);
  for (let start = 0; start < rows.length; start += BATCH)
    await client.query(
      rows
        .slice(start, start + BATCH)
        .map(({ sql }) => sql)
        .join(";\n"),
    );
}

/** Statements of a transaction: each may take a lock. */
const BATCH = 500;

/** For each object whose privileges are not the built-in ones: revokes everything and grants the built-in ones. */
const UNDO_SQL = `
  WITH
  ns AS (SELECT * FROM pg_namespace WHERE nspname = $1),
  object AS (
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, format('%I.%I', $1::text, c.relname) AS name,
      c.relacl AS acl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner) AS usual
    FROM pg_class c
    WHERE c.relnamespace = (SELECT oid FROM ns) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'ROUTINE', p.oid::regprocedure::text, p.proacl, acldefault('f', p.proowner)
    FROM pg_proc p WHERE p.pronamespace = (SELECT oid FROM ns)
    UNION ALL
    SELECT 'TYPE', format('%I.%I', $1::text, t.typname), t.typacl, acldefault('T', t.typowner)
    FROM pg_type t WHERE t.typnamespace = (SELECT oid FROM ns)
    UNION ALL
    SELECT 'SCHEMA', format('%I', $1::text), nspacl, acldefault('n', nspowner) FROM ns
  ),
  changed AS (
    SELECT kind, name, acl, usual FROM object
    WHERE acl IS NOT NULL
      AND ARRAY(SELECT x::text FROM unnest(acl) x ORDER BY 1) <> ARRAY(SELECT x::text FROM unnest(usual) x ORDER BY 1)
  ),
  grantee AS (
    SELECT kind, name, false AS granted, x.grantee, NULL AS privileges
    FROM changed CROSS JOIN LATERAL aclexplode(acl) x GROUP BY 1, 2, 4
    UNION ALL
    SELECT kind, name, true, x.grantee, string_agg(x.privilege_type, ', ')
    FROM changed CROSS JOIN LATERAL aclexplode(usual) x GROUP BY 1, 2, 4
  )
  SELECT CASE WHEN granted THEN format('GRANT %s ON %s %s TO %s', privileges, kind, name, who)
    ELSE format('REVOKE ALL ON %s %s FROM %s', kind, name, who) END AS sql
  FROM grantee
  CROSS JOIN LATERAL (
    SELECT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
  ) w
  ORDER BY kind, name, granted`;
