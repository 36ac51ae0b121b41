import type { Check, CheckContext } from "./check.ts";

/** Partitions by ranges of text: under another collation, rows belong in others. */
export const rangesOfText: Check = async ({ source, request, from, to }) => {
  const [here, there] = [from.locale, to.locale];
  if (here.collate === there.collate) return [];
  const { rows } = await source.query<{ name: string }>(
    `SELECT c.relname AS name
     FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND p.partstrat = 'r' AND 'pg_catalog."default"'::regcollation = ANY (p.partcollation::oid[])
     ORDER BY 1`,
    [request.schema],
  );
  return rows.map(
    ({ name }) =>
      `table "${name}" on ${from.name} is partitioned by ranges of text, which ${from.name} sorts by ${here.collate} but ${to.name} by ` +
      `${there.collate}: rows would belong in other partitions; create the destination's database with the locale of the source`,
  );
};

/** Names the objects whose meaning depends on a locale that differs. */
export async function otherLocale({ source, request, from, to }: CheckContext): Promise<string[]> {
  const [here, there] = [from.locale, to.locale];
  const differs = (["collate", "ctype", "version"] as const).filter(
    (fact) => here[fact] !== there[fact] && here[fact] !== "" && there[fact] !== "",
  );
  if (differs.length === 0) return [];
  const { rows } = await source.query<{ name: string }>(DEPENDENT, [request.schema]);
  const names = rows.slice(0, SHOWN).map(({ name }) => name);
  if (rows.length > SHOWN) names.push(`and ${rows.length - SHOWN} more`);
  const facts = differs.map((fact) => `${fact} ${here[fact]} and ${there[fact]}`).join(", ");
  return [
    `the default locales of ${from.name} and ${to.name} differ (${facts}): text may be sorted, compared and folded differently` +
      (names.length > 0 ? `, in the copy too: ${names.join(", ")}` : ""),
  ];
}

/** Objects that are named; the rest are counted. */
const SHOWN = 10;

/** Constraints, generated columns and unique indexes that compute with text in the default collation. */
const DEPENDENT = `
  WITH relation AS (
    SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  )
  SELECT format('constraint %I of %I', k.conname, coalesce(r.relname, t.typname)) AS name
  FROM pg_constraint k
  LEFT JOIN relation r ON r.oid = k.conrelid
  LEFT JOIN pg_type t ON t.oid = k.contypid AND t.typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  WHERE k.contype = 'c' AND k.conbin::text ~ ':inputcollid 100 ' AND (r.oid IS NOT NULL OR t.oid IS NOT NULL)
  UNION ALL
  SELECT format('generated column %I of %I', a.attname, r.relname)
  FROM relation r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attgenerated <> ''
  JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  WHERE d.adbin::text ~ ':inputcollid 100 '
  UNION ALL
  SELECT format('unique index %I of %I', c.relname, r.relname)
  FROM relation r
  JOIN pg_index i ON i.indrelid = r.oid AND i.indisunique
  JOIN pg_class c ON c.oid = i.indexrelid
  WHERE concat(i.indexprs, i.indpred) ~ ':inputcollid 100 '
  ORDER BY 1`;
