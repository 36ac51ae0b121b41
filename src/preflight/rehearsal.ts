import type { ClientBase } from "pg";

import type { MoveInput } from "../../contract/move.ts";
import { messageOf } from "../errors.ts";
import { refusesStatement } from "../postgres/errors/outlook.ts";
import { lockNotGranted } from "../postgres/errors/sqlstate.ts";
import { ident } from "../postgres/quote.ts";
import { lockSequence, readSequenceDefinitions } from "../sequences/hand-over.ts";
import type { Check } from "./check.ts";

/** Nobody queues behind a statement that gives up this soon. */
const LOCK_TIMEOUT = "1ms";

/** The new name of the schema, which is never committed. */
const NEW_NAME = "shardferry_rehearsal_";

/**
 * Does on the source what the switch will do there, and rolls it back: an event trigger, or a missing right, would
 * otherwise show when everything has been copied. A lock is held for no longer than its statement takes, and
 * what is locked is not tried.
 */
export const sourceLetsGo: Check = async ({ kind, request, source, from }) => {
  const { activateOnDestination, rehearseSwitch } = request as Partial<MoveInput>;
  // A copy leaves the source as it is, and so does a rehearsal without its switch.
  if (kind === "copy" || (activateOnDestination === false && !rehearseSwitch)) return [];
  const [sequence] = await readSequenceDefinitions(source, request.schema);
  const statements = [
    `ALTER SCHEMA ${ident(request.schema)} RENAME TO ${NEW_NAME}`,
    ...(sequence ? [lockSequence(request.schema, sequence)] : []),
  ];
  const problems: string[] = [];
  for (const sql of statements) {
    try {
      await source.query(`BEGIN; SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'; ${sql}; ROLLBACK`);
    } catch (error) {
      await source.query("ROLLBACK");
      if (lockNotGranted(error)) continue;
      if (!refusesStatement(error)) throw error;
      problems.push(
        `the switch could not run ${sql} on ${from.name}: ${messageOf(error)}${await triggersOf(source)}`,
      );
    }
  }
  return problems;
};

/** Names the event triggers that may have refused a statement, with the SQL that turns them off. */
async function triggersOf(source: ClientBase): Promise<string> {
  const { rows } = await source.query<{ name: string }>(
    "SELECT quote_ident(evtname) AS name FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY evtname",
  );
  if (rows.length === 0) return "";
  const off = rows.map(({ name }) => `ALTER EVENT TRIGGER ${name} DISABLE`).join("; ");
  return ` (if an event trigger refuses it: ${off}, until the move has ended)`;
}
