import type { ClientBase } from "pg";

import { bytes } from "../format.ts";
import { ident } from "../postgres/quote.ts";
import { CLOSURE, INBOUND } from "../postgres/schema/closure.ts";
import { readMaterializedViews } from "../postgres/schema/materialized-views.ts";
import type { CheckContext } from "./check.ts";
import { type Finding, type FindingCode, findingOf } from "./finding.ts";
import { otherLocale } from "./locales.ts";
import { needsLockedCopy } from "./shard.ts";

/** Returns facts that do not prevent a move but are worth knowing before it. */
export async function warnings(context: CheckContext): Promise<Finding[]> {
  const { from, to } = context;
  const found: [code: FindingCode, texts: string[]][] = [
    ["affected_by_move", await affectedByMove(context)],
    ["no_key", keylessTables(context)],
    ["copied_while_blocked", await copiedWhileBlocked(context)],
    ["other_locale", await otherLocale(context)],
    ["event_triggers", await eventTriggers(context)],
    ["blockers_rights", await blockersRights(context)],
  ];
  return found.flatMap(([code, texts]) =>
    texts.map((text) => findingOf(code, "warning", text, [from.name, to.name])),
  );
}

/** What others lose, or get, with the move of the schema. */
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
     SELECT DISTINCT format('sequence %s, which a default of this schema uses, is outside of the schema and stays: %s will hand out its own values', s.oid::regclass, $2::text)
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
  return [
    `tables without a key, which get REPLICA IDENTITY FULL during the move: ${keyless.map((table) => table.name).join(", ")}`,
    ...slow.map(
      (table) =>
        `table "${table.name}" has no key and ${table.estimatedRows} rows: each UPDATE and DELETE reads all of it on ${to.name} (PostgreSQL before 16)`,
    ),
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
  const list = locked.map(({ name, bytes: size }) => `${name} (${bytes(size)})`).join(", ");
  return [
    `tables that are copied while writers wait, because they are unlogged, or have no key and their rows cannot be told apart ` +
      `for certain: ${list}`,
    ...(late.length > 0
      ? [`materialized views that read from these, and are filled while writers wait: ${late.join(", ")}`]
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
