import type { TestDatabase } from "../../support/index.ts";

/** Names of everything in a schema, and of the schema itself. */
export async function catalogsIn(database: TestDatabase, schema: string): Promise<string[]> {
  const rows = await database.rows<{ name: string }>(
    `WITH ns AS (SELECT oid FROM pg_namespace WHERE nspname = $1)
     SELECT o.type || ' ' || o.identity AS name
     FROM ns JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = ns.oid,
       pg_identify_object(d.classid, d.objid, 0) o
     UNION ALL
     SELECT 'schema' FROM ns
     ORDER BY 1`,
    [schema],
  );
  return rows.map(({ name }) => name);
}
