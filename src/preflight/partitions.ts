import type { Check } from "./check.ts";
import { PARTS_OF_TYPE } from "./parts-of-type.ts";

/**
 * Hash partitioning by an enum, or by a type that names an object (regclass), hashes an OID. OIDs differ between
 * servers, so on the destination the rows would belong in other partitions.
 */
export const hashPartitions: Check = async ({ source, request, from }) => {
  const { rows } = await source.query<{ name: string; type: string }>(
    `WITH RECURSIVE
     key AS (
       SELECT c.relname, coalesce(a.atttypid, o.opcintype) AS typ
       FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_partitioned_table p ON p.partrelid = c.oid AND p.partstrat = 'h'
       CROSS JOIN LATERAL unnest(p.partattrs::int2[], p.partclass::oid[]) AS k(attnum, opclass)
       JOIN pg_opclass o ON o.oid = k.opclass
       LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
       WHERE n.nspname = $1
     ),
     part(relname, root, typ) AS (
       SELECT relname, typ, typ FROM key
       UNION
       SELECT part.relname, part.root, x.typ
       FROM part
       JOIN pg_type t ON t.oid = part.typ
       CROSS JOIN ${PARTS_OF_TYPE} x
     )
     SELECT DISTINCT relname AS name, format_type(root, NULL) AS type
     FROM part JOIN pg_type t ON t.oid = part.typ
     WHERE t.typtype = 'e' OR t.oid = 'anyenum'::regtype
       OR t.typname ~ '^reg(class|collation|config|dictionary|namespace|oper|operator|proc|procedure|role|type)$'
     ORDER BY 1`,
    [request.schema],
  );
  return rows.map(
    ({ name, type }) =>
      `table "${name}" on ${from.name} is partitioned by the hash of ${type}, which hashes OIDs of this server: its rows would ` +
      `belong in other partitions on another server; partition it by another column or by LIST`,
  );
};
