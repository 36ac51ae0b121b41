import type { ClientBase } from "pg";

import { hasSqlstate, SQLSTATE } from "../postgres/errors/sqlstate.ts";
import { ident, qualified } from "../postgres/quote.ts";
import { majorVersion, VERSION_NUMBER } from "../postgres/server.ts";

/** True for the refusal of PREPARE TRANSACTION after a NOTIFY. SQL's own words are in the message in every language. */
export const refusesNotify = (error: unknown): boolean =>
  hasSqlstate(error, SQLSTATE.featureNotSupported) && /\bNOTIFY\b/.test((error as Error).message);

interface Found {
  eventTriggers: string[];
  triggers: string[];
}

/** Functions that send notifications themselves; one that calls another to do so is not recognized. */
const NOTIFIES = "p.prosrc ~* '\\m(pg_)?notify\\M'";

/**
 * Reads which triggers may have sent a notification in a transaction that changed some schemas. If no event trigger
 * does so itself, all are returned that can fire.
 */
async function readNotifiers(client: ClientBase, schemas: readonly string[]): Promise<Found> {
  const events = await client.query<{ name: string; notifies: boolean }>(
    `SELECT e.evtname AS name, ${NOTIFIES} AS notifies FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
     WHERE e.evtenabled IN ('O', 'A') AND e.evtevent <> 'login' ORDER BY 1`,
  );
  const tables = await client.query<{ schema: string; table: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS table, t.tgname AS name
     FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid JOIN pg_trigger t ON t.tgrelid = c.oid
       JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE n.nspname = ANY ($1) AND t.tgenabled IN ('O', 'A') AND NOT t.tgisinternal AND ${NOTIFIES}
     ORDER BY 1, 2, 3 LIMIT 5`,
    [schemas],
  );
  const some = events.rows.filter(({ notifies }) => notifies);
  const triggers = tables.rows.map(
    ({ schema, table, name }) => `${ident(name)} on ${qualified(schema, table)}`,
  );
  return { eventTriggers: (some.length > 0 ? some : events.rows).map(({ name }) => ident(name)), triggers };
}

/** Says who may have sent the notification that cannot be prepared, and what can be done about it. */
export async function adviceOnNotify(client: ClientBase, schemas: readonly string[]): Promise<string> {
  const { eventTriggers, triggers } = await readNotifiers(client, schemas);
  const ways = ["use --mode=each, which prepares nothing"];
  if (eventTriggers.length > 0) {
    const each = (state: string): string =>
      eventTriggers.map((name) => `ALTER EVENT TRIGGER ${name} ${state};`).join(" ");
    ways.push(`run ${each("DISABLE")} before it and ${each("ENABLE")} after it, as their owner`);
    const { rows } = await client.query<{ version: number }>(`SELECT ${VERSION_NUMBER} AS version`);
    if (majorVersion(rows[0]!.version) >= 17)
      ways.push(
        "add ?options=-c%20event_triggers%3Doff to the DSN, if the role may set it (GRANT SET ON PARAMETER event_triggers)",
      );
  }
  if (triggers.length > 0) ways.push("disable the triggers in the migration, and enable them at its end");
  const said = [
    "A notification cannot be part of a transaction across several servers.",
    eventTriggers.length > 0 &&
      `It may come from the event trigger${eventTriggers.length === 1 ? "" : "s"} ${eventTriggers.join(", ")}.`,
    triggers.length > 0 &&
      `It may come from the trigger${triggers.length === 1 ? "" : "s"} ${triggers.join(", ")}.`,
    eventTriggers.length + triggers.length === 0 && "It comes from a function that the migration has called.",
    `What can be done: ${ways.join("; or ")}. Whoever listens has to be notified by hand then.`,
  ];
  return said.filter(Boolean).join("\n");
}
