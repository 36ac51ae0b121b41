import type pg from "pg";

import { qualified } from "../../../src/postgres/quote.ts";
import type { MaterializedView } from "../../../src/postgres/schema/materialized-views.ts";
import { whileLooking } from "../../../src/postgres/session.ts";
import { alive } from "../../attempt/attempt.ts";
import { copyRows } from "./copy-rows.ts";
import { refreshSql } from "./refresh-views.ts";
import type { SwitchFacts } from "./source-facts.ts";
import { type MoveStep } from "./step.ts";

/** Milliseconds between two signs of life to the session that holds the lock. */
const HOLD_MS = 500;

/**
 * Copies the tables that cannot be replicated (unlogged, or without any comparable identity), which are
 * empty on the destination until now. Runs in the replication role of a replica, in which all other rows arrive too:
 * triggers do not fire, and foreign keys are not checked again. Then fills the materialized views that read from them.
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
  const copied = { rows: 0, bytes: 0 };
  await destination.query("SET LOCAL session_replication_role = replica");
  for (const table of facts.tables.filter(({ name, kind }) => kind === "r" && wanted.has(name))) {
    const names = { from: qualified(sourceSchema, table.name), to: qualified(step.schema, table.name) };
    const how = { freeze: false, encoding: step.input.plan.encoding };
    const counters = { bytes: 0, rows: 0 };
    const look = alive(() => `copying table "${table.name}" under the lock: ${counters.rows} rows`);
    await step.watched(step.to, look, () => copyRows(source, destination, names, table, how, counters));
    copied.rows += counters.rows;
    copied.bytes += counters.bytes;
  }
  step.copiedUnderLock = copied;
  await destination.query("SET LOCAL session_replication_role = origin");
  await refreshLate(step, facts, source, destination);
}

/** The materialized views that could not be filled before. */
export const lateViews = ({ views }: SwitchFacts): MaterializedView[] =>
  views.filter(({ late, populated }) => late && populated);

async function refreshLate(
  step: MoveStep,
  facts: SwitchFacts,
  source: pg.Client,
  destination: pg.Client,
): Promise<void> {
  const views = lateViews(facts);
  if (views.length === 0) return;
  // The session that holds the lock has a short idle timeout.
  const holding = (): Promise<unknown> => source.query("SELECT");
  await destination.query("SELECT set_config('search_path', $1, true)", [facts.searchPath]);
  for (const view of views) {
    const look = alive(() => `refreshing materialized view "${view.name}" under the lock`);
    await step.watched(step.to, look, () =>
      whileLooking(HOLD_MS, [holding], () => destination.query(refreshSql(step.schema, view))),
    );
  }
  await destination.query("SET LOCAL search_path TO DEFAULT");
}
