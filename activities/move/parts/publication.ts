import type { ClientBase } from "pg";

import type { StepProgress, StepReport } from "../../../contract/progress.ts";
import { plural, shorten } from "../../../src/format.ts";
import { describeBlockers, openWriters } from "../../../src/postgres/blockers.ts";
import { withLockRetry } from "../../../src/postgres/locks.ts";
import { qualified } from "../../../src/postgres/quote.ts";
import { ensureSlot, publicationSql } from "../../../src/postgres/replication/objects.ts";
import { recordSql } from "../../../src/postgres/replication/replica-identity.ts";
import { readTables, type Table } from "../../../src/postgres/schema/tables.ts";
import { alive } from "../../attempt/attempt.ts";
import type { MoveStep } from "./step.ts";

/** The tables that are replicated: those with rows of their own, except those copied under the lock. */
export async function publishedTables(step: MoveStep): Promise<Table[]> {
  const locked = new Set(step.input.plan.lockedCopies);
  const tables = await step.attempt.reading(step.from, () =>
    step.onSource((client) => readTables(client, step.schema)),
  );
  return tables.filter((table) => table.kind === "r" && !locked.has(table.name));
}

/** Publishes the tables on the source, each with an identity that its updates need. */
export const publishTables = (step: MoveStep, tables: readonly Table[]): Promise<string | null> =>
  step.session(step.from, {}, async (client) => {
    await step.attempt.ensureCurrent();
    await setIdentities(step, client, tables);
    return publish(step, client, tables);
  });

/**
 * Must come before the tables are published, since publishing one without identity makes the application's updates fail;
 * and after the identities that the tables had are recorded.
 */
async function setIdentities(step: MoveStep, client: ClientBase, tables: readonly Table[]): Promise<void> {
  const overrides = step.input.plan.identityOverrides;
  if (overrides.length === 0) return;
  const { rowCount } = await client.query("SELECT FROM pg_publication WHERE pubname = $1", [
    step.replicationName,
  ]);
  if (!rowCount) {
    const oids = new Map(tables.map(({ name, oid }) => [name, oid]));
    const known = overrides.flatMap(({ table, was }) => {
      const oid = oids.get(table);
      return oid === undefined || was === "i" ? [] : [{ oid, was }];
    });
    await client.query(recordSql(step.replicationName, known));
  }
  for (const [i, { table }] of overrides.entries()) {
    const full = `ALTER TABLE ONLY ${qualified(step.schema, table)} REPLICA IDENTITY FULL`;
    await withLockRetry(client, full, step.attempt, step.attempt.lend(step.from));
    step.beat({ note: `replica identity of ${i + 1} of ${plural(overrides.length, "table")}` });
  }
}

/** Creates the publication. Needs a lock on each table that lets writers through, but no vacuum and no DDL. */
async function publish(step: MoveStep, client: ClientBase, tables: readonly Table[]): Promise<string | null> {
  const sql = await publicationSql(client, step.replicationName, step.schema, tables);
  if (sql === null) return null;
  const look = alive(() => `publishing ${plural(tables.length, "table")}`);
  await step.watched(step.from, look, () =>
    withLockRetry(client, sql, step.attempt, step.attempt.lend(step.from)),
  );
  return sql;
}

/** Shows who keeps the slot from being created. */
export async function oldestTransaction(client: ClientBase): Promise<StepProgress> {
  const writers = await openWriters(client);
  if (writers.length === 0) return { note: "creating the replication slot" };
  return { waitingFor: `transactions on the source to end: ${describeBlockers(writers)}` };
}

/** Creates the slot, which waits for every transaction that is open on the source's server; shows which. */
export async function createSlot(step: MoveStep): Promise<string | null> {
  return step.session(step.from, {}, (session) =>
    step.watched(step.from, oldestTransaction, async (onBackend) => {
      onBackend(session);
      await step.attempt.ensureCurrent();
      return ensureSlot(session, step.replicationName);
    }),
  );
}

/** Reports what was published, with the SQL that this took: null stands for what was there already. */
export function publicationReport(
  { from }: MoveStep,
  tables: readonly Table[],
  done: readonly (string | null)[],
): StepReport {
  const sql = done.filter((statement) => statement !== null).map((statement) => shorten(statement));
  return { text: `published ${plural(tables.length, "table")} on ${from}`, sql };
}
