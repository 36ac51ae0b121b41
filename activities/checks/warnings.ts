import type { CheckContext } from "./context.ts";

/** What does not hinder a move but is good to know before it. */
export async function warnings({
  source,
  destination,
  request,
  from,
  to,
  tables,
}: CheckContext): Promise<string[]> {
  const { rows } = await source.query<{ text: string }>(
    `WITH ns AS (SELECT oid FROM pg_namespace WHERE nspname = $1)
     SELECT format('publication %I also publishes tables of this schema; its subscribers lose them with the move', pubname) AS text
     FROM pg_publication_tables WHERE schemaname = $1 AND NOT starts_with(pubname, 'shardferry_')
     GROUP BY pubname
     UNION ALL
     SELECT DISTINCT format('%s reads or writes tables of this schema from outside; after the move its writes fail and it reads the old copy', w.ev_class::regclass)
     FROM ns
     JOIN pg_class c ON c.relnamespace = ns.oid AND c.relkind IN ('r', 'p')
     JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
     JOIN pg_rewrite w ON w.oid = d.objid
     JOIN pg_class v ON v.oid = w.ev_class AND v.relnamespace <> ns.oid
     WHERE coalesce(obj_description(v.oid, 'pg_class'), '') !~ 'sharding:'`,
    [request.schema],
  );
  const keyless = tables.filter(
    (table) => table.kind === "r" && !table.hasIdentity && table.comparable && !table.unlogged,
  );
  const slow = to.identity.serverMajor < 16 ? keyless.filter((table) => table.estimatedRows > 100_000) : [];
  const { rows: triggers } = await destination.query<{ name: string }>(
    "SELECT evtname AS name FROM pg_event_trigger WHERE evtenabled <> 'D'",
  );
  return [
    ...rows.map((row) => `${row.text} (${from.name})`),
    ...(keyless.length > 0
      ? [
          `without a key, so they get REPLICA IDENTITY FULL during the move: ${keyless.map((table) => table.name).join(", ")}`,
        ]
      : []),
    ...slow.map(
      (table) =>
        `table "${table.name}" has no key and ${table.estimatedRows} rows: each UPDATE and DELETE reads all of it on ${to.name} (PostgreSQL before 16)`,
    ),
    ...triggers.map(({ name }) => `event trigger ${name} on ${to.name} runs for the DDL of the move`),
  ];
}
