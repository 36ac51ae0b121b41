import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../errors.ts";

/** Somebody has built something on a schema that is to be dropped; it would be dropped as well. */
export class OutsideDependentsError extends ShardferryError {
  constructor(island: IslandName, schema: string, dependents: readonly string[]) {
    const shown = dependents.slice(0, 10).join(", ") + (dependents.length > 10 ? ", …" : "");
    super(
      "outside_dependents",
      `schema "${schema}" on ${island} is kept: objects of other schemas would be dropped with it (${shown}); drop or change them first`,
    );
  }
}

/**
 * Everything outside a schema that DROP … CASCADE of that schema, or of some of its relations, would drop, in words.
 * Parts of other objects (the row type of a view) are not listed separately.
 *
 * @param relations names of relations of the schema; null for the whole schema.
 */
export async function outsideDependents(
  client: ClientBase,
  schema: string,
  relations: readonly string[] | null,
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(OUTSIDE, [schema, relations]);
  return rows.map(({ name }) => name);
}

/**
 * `taken` is what CASCADE reaches: everything that depends on a taken object, and everything of which a taken object is
 * an internal part (the rule of a view stands for the view). Publications lose a table without CASCADE.
 */
const OUTSIDE = `
  WITH RECURSIVE
  ns AS (SELECT oid FROM pg_namespace WHERE nspname = $1),
  taken(classid, objid) AS (
    (
      SELECT 'pg_namespace'::regclass::oid, oid FROM ns WHERE $2::text[] IS NULL
      UNION ALL
      SELECT 'pg_class'::regclass::oid, c.oid FROM ns JOIN pg_class c ON c.relnamespace = ns.oid WHERE c.relname = ANY ($2)
    )
    UNION
    SELECT next.classid, next.objid
    FROM taken CROSS JOIN LATERAL (
      SELECT d.classid, d.objid FROM pg_depend d
      WHERE d.refclassid = taken.classid AND d.refobjid = taken.objid
      UNION ALL
      SELECT d.refclassid, d.refobjid FROM pg_depend d
      WHERE d.classid = taken.classid AND d.objid = taken.objid AND d.deptype = 'i'
    ) next
    WHERE next.classid <> ALL (array_remove(ARRAY['pg_publication_rel'::regclass, 'pg_default_acl'::regclass,
      'pg_amop'::regclass, 'pg_amproc'::regclass, to_regclass('pg_catalog.pg_publication_namespace')]::oid[], NULL))
  ),
  placed AS (
    SELECT classid, objid,
      CASE classid
        WHEN 'pg_namespace'::regclass THEN objid
        WHEN 'pg_class'::regclass THEN (SELECT relnamespace FROM pg_class WHERE oid = objid)
        WHEN 'pg_type'::regclass THEN (SELECT typnamespace FROM pg_type WHERE oid = objid)
        WHEN 'pg_proc'::regclass THEN (SELECT pronamespace FROM pg_proc WHERE oid = objid)
        WHEN 'pg_constraint'::regclass THEN (SELECT connamespace FROM pg_constraint WHERE oid = objid)
        WHEN 'pg_attrdef'::regclass THEN
          (SELECT c.relnamespace FROM pg_attrdef a JOIN pg_class c ON c.oid = a.adrelid WHERE a.oid = objid)
        WHEN 'pg_rewrite'::regclass THEN
          (SELECT c.relnamespace FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class WHERE w.oid = objid)
        WHEN 'pg_trigger'::regclass THEN
          (SELECT c.relnamespace FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.oid = objid)
        WHEN 'pg_policy'::regclass THEN
          (SELECT c.relnamespace FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE p.oid = objid)
        ELSE (SELECT n.oid FROM pg_identify_object(classid, objid, 0) o JOIN pg_namespace n ON n.nspname = o.schema)
      END AS place
    FROM taken
  )
  SELECT o.type || ' ' || o.identity AS name
  FROM placed CROSS JOIN LATERAL pg_identify_object(classid, objid, 0) o
  WHERE place IS DISTINCT FROM (SELECT oid FROM ns)
    AND place IS DISTINCT FROM 'pg_toast'::regnamespace
    AND NOT EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = placed.classid AND d.objid = placed.objid AND d.deptype = 'i'
    )
  ORDER BY 1`;
