import { CLOSURE, INBOUND } from "../postgres/schema/closure.ts";
import type { Check } from "./check.ts";

/** Finds links between the schema and others that a move would cut: in both directions, in any kind of object. */
export const crossSchemaLinks: Check = async ({ source, request, from }) => {
  const { rows } = await source.query<{ link: string }>(
    `${CLOSURE}${INBOUND},
     link AS (
       SELECT format('foreign key %I of %s refers to %s, which is in another schema', k.conname, k.conrelid::regclass, k.confrelid::regclass) AS link
       FROM ns
       JOIN pg_class a ON a.relnamespace = ns.oid
       JOIN pg_constraint k ON k.conrelid = a.oid AND k.contype = 'f' AND k.conparentid = 0
       JOIN pg_class b ON b.oid = k.confrelid AND b.relnamespace <> ns.oid
       UNION ALL
       SELECT format('%s is a partition or child of %s, which is in another schema', h.inhrelid::regclass, h.inhparent::regclass)
       FROM ns
       JOIN pg_class a ON a.relnamespace = ns.oid AND a.relkind NOT IN ('i', 'I')
       JOIN pg_inherits h ON h.inhrelid = a.oid
       JOIN pg_class b ON b.oid = h.inhparent AND b.relnamespace <> ns.oid
       UNION ALL
       SELECT format('%s %s, which is not part of the schema, is built on %s %s', o.type, o.identity, r.type, r.identity)
       FROM inbound,
         pg_identify_object(classid, objid, objsubid) o,
         pg_identify_object(refclassid, refobjid, 0) r
       WHERE NOT follows
       UNION ALL
       SELECT format('extension %I lives in the schema', e.extname) FROM pg_extension e JOIN ns ON ns.oid = e.extnamespace
     )
     SELECT link FROM link ORDER BY 1`,
    [request.schema],
  );
  return rows.map(
    ({ link }) =>
      `${link} (on ${from.name}): a schema is moved as a whole and on its own; drop or move that object first`,
  );
};
