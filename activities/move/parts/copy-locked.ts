import type pg from "pg";

import { qualified } from "../../../src/postgres/quote.ts";
import { alive } from "../../attempt/attempt.ts";
import { copyRows } from "./copy-rows.ts";
import type { SwitchFacts } from "./source-facts.ts";
import { type MoveStep } from "./step.ts";

/**
 * Copies the tables that cannot be replicated (unlogged, or without any comparable identity), which are
 * empty on the destination until now. Runs in the replication role of a replica, in which all other rows arrive too:
 * triggers do not fire, and foreign keys are not checked again.
 */
export async function copyLocked(
  step: MoveStep,
  facts: SwitchFacts,
  source: pg.Client,
  destination: pg.Client,
  sourceSchema: string,
): Promise<void> {
  const wanted = new Set(step.input.plan.lockedCopies);
  if (wanted.size === 0) return;
  await destination.query("SET LOCAL session_replication_role = replica");
  for (const table of facts.tables.filter(({ name, kind }) => kind === "r" && wanted.has(name))) {
    const names = { from: qualified(sourceSchema, table.name), to: qualified(step.schema, table.name) };
    const counters = { bytes: 0, tuples: 0 };
    const look = alive(() => `copying table "${table.name}" under the lock: ${counters.tuples} rows`);
    await step.watched(step.to, look, () => copyRows(source, destination, names, table, false, counters));
  }
  await destination.query("SET LOCAL session_replication_role = origin");
}
