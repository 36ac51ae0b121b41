import { type Blocker, creatorsAfter } from "../../../src/postgres/blockers.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import { blockersDuring, LOCK_TIMEOUT_MS } from "../../../src/postgres/locks.ts";
import { literal, qualified } from "../../../src/postgres/quote.ts";
import { lockSequence } from "../../../src/sequences/hand-over.ts";
import type { SwitchSessions } from "./sessions.ts";

/**
 * Keeps materialized views from being refreshed, and lets readers through. LOCK takes none; a comment that is the same as
 * before changes nothing, but locks one.
 */
const lockViews = (schema: string): string =>
  `DO ${literal(`BEGIN
     EXECUTE (
       SELECT coalesce(string_agg(
         format('COMMENT ON MATERIALIZED VIEW %I.%I IS %L', n.nspname, c.relname, obj_description(c.oid, 'pg_class')), '; '
         ORDER BY c.relname), '')
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = ${literal(schema)} AND c.relkind = 'm');
   END`)}`;

/**
 * Takes all locks in one round trip, in a fixed order, or none: then returns the blockers, as far as they were seen.
 * EXCLUSIVE lets readers through. ALTER SEQUENCE to its present owner changes nothing, but is the only way to lock a
 * sequence: no table lock stops nextval(). The statement timeout bounds the sum of the waits, during which the
 * application's writers queue behind us. A table that somebody is creating in the schema is not covered by our locks, and
 * invisible to the fingerprint before its commit: it would end up in the old copy. So whoever creates one is a blocker.
 */
export async function lockEverything(plan: SwitchSessions): Promise<Blocker[] | null> {
  const { step, facts, source } = plan;
  const tables = facts.tables.map((table) => `ONLY ${qualified(step.schema, table.name)}`);
  const timeout = LOCK_TIMEOUT_MS + Math.round(tables.length / 5);
  const sql = [
    "BEGIN",
    `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `SET LOCAL statement_timeout = ${timeout}`,
    ...(facts.views.length > 0 ? [lockViews(step.schema)] : []),
    ...(tables.length > 0 ? [`LOCK TABLE ${tables.join(", ")} IN EXCLUSIVE MODE`] : []),
    ...facts.sequences.map((sequence) => lockSequence(step.schema, sequence)),
    `SET LOCAL statement_timeout = ${plan.maxWriteBlockMs}`,
  ];
  const locked = creatorsAfter(source, sql, step.schema);
  const watched = blockersDuring(source, locked, (use) => use(plan.sourceObserver));
  watched.catch(() => undefined);
  try {
    const creators = await locked;
    if (creators.length === 0) return null;
    await source.query("ROLLBACK");
    return creators;
  } catch (error) {
    await source.query("ROLLBACK");
    const waitedInVain = hasSqlstate(
      error,
      SQLSTATE.lockNotAvailable,
      SQLSTATE.queryCanceled,
      SQLSTATE.deadlockDetected,
    );
    if (!waitedInVain) throw error;
    return await watched;
  }
}
