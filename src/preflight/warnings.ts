import type { ClientBase } from "pg";

import { allEnd } from "../all-end.ts";
import { bytes } from "../format.ts";
import { ident } from "../postgres/quote.ts";
import { CLOSURE, INBOUND } from "../postgres/schema/closure.ts";
import { readMaterializedViews } from "../postgres/schema/materialized-views.ts";
import type { CheckContext } from "./check.ts";
import { type Finding, type FindingCode, findingOf } from "./finding.ts";
import { otherLocale } from "./locales.ts";
import { roomToTry } from "./locks.ts";
import { needsLockedCopy } from "./shard.ts";
import { some } from "./some.ts";

/** Returns facts that do not prevent a move but are worth knowing before it. */
export async function warnings(context: CheckContext): Promise<Finding[]> {
  const { from, to } = context;
  const found = await allEnd(
    LOOKS.map(async ([code, look]) =>
      (await look(context)).map((text) => findingOf(code, "warning", text, [from.name, to.name])),
    ),
  );
  return found.flat();
}

/** What the move of the schema takes from others, or brings to them. */
async function affectedByMove({ source, request, from, to }: CheckContext): Promise<string[]> {
  const { rows } = await source.query<{ text: string }>(
    `${CLOSURE}${INBOUND},
     follower AS (
       SELECT DISTINCT CASE WHEN w.oid IS NULL THEN classid ELSE 'pg_class'::regclass END AS classid, coalesce(w.ev_class, objid) AS objid
       FROM inbound LEFT JOIN pg_rewrite w ON classid = 'pg_rewrite'::regclass AND w.oid = objid
       WHERE follows
     )
     SELECT format('publication %I also publishes tables of this schema; its subscribers lose them with the move', pubname) AS text
     FROM pg_publication_tables WHERE schemaname = $1 AND NOT starts_with(pubname, 'shardferry_')
     GROUP BY pubname
     UNION ALL
     SELECT format('%s %s reads or writes this schema from outside; after the move its writes fail and it reads the old copy', o.type, o.identity)
     FROM follower CROSS JOIN LATERAL pg_identify_object(classid, objid, 0) o
     LEFT JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
     -- Debug views are rebuilt after the move.
     WHERE concat(obj_description(c.oid, 'pg_class'), obj_description(c.relnamespace, 'pg_namespace')) !~ '^(pg-)?(micro)?sharding:'
     UNION ALL
     SELECT DISTINCT format('sequence %s, which a default of this schema uses, is outside the schema and stays: %s will hand out its own values', s.oid::regclass, $2::text)
     FROM inside i
     JOIN pg_depend d ON i.classid = 'pg_attrdef'::regclass AND d.classid = i.classid AND d.objid = i.objid
     JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND s.oid = d.refobjid AND s.relkind = 'S' AND s.relnamespace <> (SELECT oid FROM ns)`,
    [request.schema, to.name],
  );
  return rows.map((row) => `${row.text} (${from.name})`);
}

function keylessTables({ tables, to }: CheckContext): string[] {
  const keyless = tables.filter(
    (table) => table.kind === "r" && !table.hasIdentity && table.comparable && !table.unlogged,
  );
  if (keyless.length === 0) return [];
  const slow = to.identity.serverMajor < 16 ? keyless.filter((table) => table.estimatedRows > 100_000) : [];
  const list = (of: typeof keyless): string =>
    some(
      of.map(({ name }) => name),
      "table",
    );
  return [
    `without a key, and so with REPLICA IDENTITY FULL during the move: ${list(keyless)}`,
    ...(slow.length > 0
      ? [
          `without a key and with over 100,000 rows: each UPDATE and DELETE reads the whole table on ${to.name} (PostgreSQL before 16): ${list(slow)}`,
        ]
      : []),
  ];
}

/** Tables that are copied under the lock, and views that read from them. */
async function copiedWhileBlocked({ source, request, tables }: CheckContext): Promise<string[]> {
  const locked = tables.filter(needsLockedCopy);
  if (locked.length === 0) return [];
  const late = await lateViews(
    source,
    request.schema,
    locked.map(({ name }) => name),
  );
  const list = some(
    locked.map(({ name, bytes: size }) => `${name} (${bytes(size)})`),
    "table",
  );
  return [
    `copied while writers wait, because they are unlogged, or have no key and their rows cannot be told apart for certain: ${list}`,
    ...(late.length > 0
      ? [`filled while writers wait, because they read from these tables: ${some(late, "materialized view")}`]
      : []),
  ];
}

async function lateViews(source: ClientBase, schema: string, locked: readonly string[]): Promise<string[]> {
  const views = await readMaterializedViews(source, schema, locked);
  return views.filter(({ late, populated }) => late && populated).map(({ name }) => name);
}

async function eventTriggers({ destination, to }: CheckContext): Promise<string[]> {
  const { rows } = await destination.query<{ name: string }>(
    "SELECT evtname AS name FROM pg_event_trigger WHERE evtenabled <> 'D'",
  );
  return rows.map(({ name }) => `event trigger ${name} on ${to.name} runs for the DDL of the move`);
}

async function untried(context: CheckContext): Promise<string[]> {
  const { from, to } = context;
  if (to.build === from.build || (await roomToTry(context))) return [];
  return [
    `the structure is too large to be tried on ${to.name} beforehand: what PostgreSQL ${to.version} does not accept will show only when the structure is created`,
  ];
}

/** To end a blocker, the role has to be allowed to signal it, and to see it. */
async function blockersRights({ source, endsBlockers, from }: CheckContext): Promise<string[]> {
  if (!endsBlockers) return [];
  const { rows } = await source.query<{ name: string }>(
    `SELECT name FROM unnest(ARRAY['pg_signal_backend', 'pg_read_all_stats']::name[]) AS name
     WHERE NOT pg_has_role(name, 'USAGE')`,
  );
  const missing = rows.map(({ name }) => name).join(", ");
  if (missing === "") return [];
  return [
    `role ${from.role} lacks ${missing} on ${from.name}, so --cancel-blockers-after and --terminate-blockers-after end only ` +
      `sessions of that role itself: GRANT ${missing} TO ${ident(from.role)}`,
  ];
}

/** What is not the same on the destination as it was on the source. */
async function arrivesDifferent({ source, request, to }: CheckContext): Promise<string[]> {
  const { rows } = await source.query<{ views: string[]; constraints: string[] }>(
    `SELECT
       ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = n.oid AND relkind = 'm' AND relispopulated ORDER BY 1) AS views,
       ARRAY(SELECT format('%I of %I', k.conname, c.relname)
         FROM pg_constraint k
         JOIN pg_class c ON c.oid = k.conrelid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
         WHERE k.connamespace = n.oid AND k.contype = 'n' AND k.conislocal
           AND k.conname <> left(format('%s_%s_not_null', c.relname, a.attname), 63)
         ORDER BY 1) AS constraints
     FROM pg_namespace n WHERE nspname = $1`,
    [request.schema],
  );
  const { views, constraints } = rows[0]!;
  return [
    ...(views.length > 0
      ? [`filled on ${to.name} from its tables, as by REFRESH: ${some(views, "materialized view")}`]
      : []),
    // From 18 on, NOT NULL is a constraint with a name.
    ...(constraints.length > 0 && to.identity.serverMajor < 18
      ? [`NOT NULL without its name on ${to.name} (PostgreSQL before 18): ${some(constraints, "constraint")}`]
      : []),
  ];
}

const LOOKS: readonly [code: FindingCode, look: (context: CheckContext) => string[] | Promise<string[]>][] = [
  ["affected_by_move", affectedByMove],
  ["no_key", keylessTables],
  ["copied_while_blocked", copiedWhileBlocked],
  ["arrives_different", arrivesDifferent],
  ["structure_untried", untried],
  ["other_locale", otherLocale],
  ["event_triggers", eventTriggers],
  ["blockers_rights", blockersRights],
];
