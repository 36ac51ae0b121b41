import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { messageWithoutRows } from "../../../src/postgres/errors/without-rows.ts";
import { literal, qualified } from "../../../src/postgres/quote.ts";
import { readTables } from "../../../src/postgres/schema/tables.ts";
import { alive } from "../../attempt/attempt.ts";
import { isRetryable, lastingFailures } from "../../attempt/failures.ts";
import type { MoveStep } from "./step.ts";

/** Runs the operator's SQL for each table of the old copy. Returns a lasting failure, which must not hold up the end. */
export async function deactivate(
  step: MoveStep,
  island: IslandName,
  deactivateSql: string | null,
  leftover: string,
): Promise<string[]> {
  if (!deactivateSql) return [];
  let done = "";
  // In a session of its own: it may take hours, and a later attempt has to find and end it.
  const run = async (client: ClientBase): Promise<string[]> => {
    for (const table of await readTables(client, leftover)) {
      const name = literal(qualified(leftover, table.name));
      await client.query(deactivateSql.replaceAll("$1", () => name)).catch((cause: Error) => {
        if (isRetryable(cause, step.attempt.number)) throw cause;
        throw new Error(`--deactivate-sql for table "${table.name}": ${messageWithoutRows(cause)}`, {
          cause,
        });
      });
      done = `: done with ${table.name}`;
    }
    return [];
  };
  const look = alive(() => `deactivate-sql${done}`);
  const work = step.watched(island, look, () => step.session(island, { reuse: false }, run));
  return lastingFailures(work, step.attempt.number);
}
