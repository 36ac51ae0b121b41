import {
  type Blocker,
  blockersDuring,
  creatorsSql,
  describeBlockers,
  LOCK_TIMEOUT_MS,
} from "../../../src/postgres/locks.ts";
import { qualified } from "../../../src/postgres/quote.ts";
import { lastRows } from "../../../src/postgres/session.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/sqlstate.ts";
import { lockSequence } from "../../../src/sequences/hand-over.ts";
import type { SwitchSessions } from "./sessions.ts";

/**
 * Takes all locks in one round trip, in a fixed order, or none: answers who blocks. EXCLUSIVE lets readers
 * through. ALTER SEQUENCE to the owner that it has changes nothing, but is the one way to lock a sequence,
 * whose nextval() no table lock stops. The statement timeout bounds the sum of the waits, during which the
 * application's writers queue behind us. What somebody is creating in the schema no lock of ours waits for, and the
 * fingerprint does not see it before its commit: it would end up in the old copy.
 */
export async function lockEverything(plan: SwitchSessions): Promise<string | null> {
  const { step, facts, source } = plan;
  const tables = facts.tables.map((table) => `ONLY ${qualified(step.schema, table.name)}`);
  const timeout = LOCK_TIMEOUT_MS + Math.round(tables.length / 5);
  const sql = [
    "BEGIN",
    `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `SET LOCAL statement_timeout = ${timeout}`,
    ...(tables.length > 0 ? [`LOCK TABLE ${tables.join(", ")} IN EXCLUSIVE MODE`] : []),
    ...facts.sequences.map((sequence) => lockSequence(step.schema, sequence)),
    `SET LOCAL statement_timeout = ${plan.maxWriteBlockMs}`,
    creatorsSql(step.schema),
  ].join(";\n");
  const locked = lastRows<Blocker>(source, sql);
  const watched = blockersDuring(source, locked, (use) => use(plan.sourceObserver));
  watched.catch(() => undefined);
  try {
    const creators = await locked;
    if (creators.length === 0) return null;
    await source.query("ROLLBACK");
    return describeBlockers(creators);
  } catch (error) {
    await source.query("ROLLBACK");
    const waitedInVain = hasSqlstate(
      error,
      SQLSTATE.lockNotAvailable,
      SQLSTATE.queryCanceled,
      SQLSTATE.deadlockDetected,
    );
    if (!waitedInVain) throw error;
    return describeBlockers(await watched);
  }
}
