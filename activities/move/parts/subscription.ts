import type { ClientBase } from "pg";

import type { StepProgress } from "../../../contract/progress.ts";
import { describeBlockers, openWriters } from "../../../src/postgres/blockers.ts";
import { subscriptionConninfo } from "../../../src/postgres/replication/conninfo.ts";
import { ensureSubscription } from "../../../src/postgres/replication/objects.ts";
import { ensureDurable } from "../../../src/postgres/replication/position.ts";
import { readTables, type Table } from "../../../src/postgres/schema/tables.ts";
import { DATABASE_OID } from "../../../src/postgres/server.ts";
import { ensureOwnCopy } from "./half-made-copy.ts";
import type { MoveStep } from "./step.ts";

/** The tables that are replicated: those with rows of their own, except those copied under the lock. */
export async function publishedTables(step: MoveStep): Promise<Table[]> {
  const locked = new Set(step.input.plan.lockedCopies);
  const tables = await step.onSource((client) => readTables(client, step.schema));
  return tables.filter((table) => table.kind === "r" && !locked.has(table.name));
}

/** Shows who keeps the slot from being created. */
export async function oldestTransaction(client: ClientBase): Promise<StepProgress> {
  const writers = await openWriters(client);
  if (writers.length === 0) return { note: "creating the replication slot" };
  return { waitingFor: `transactions on the source to end: ${describeBlockers(writers)}` };
}

/** Creates the subscription on the destination, with the rows still to be copied or not, and to be enabled later or at once. */
export async function createSubscription(
  step: MoveStep,
  tables: readonly Table[],
  copyData: boolean,
  enabled = true,
): Promise<string | null> {
  const { replicationName, input } = step;
  const dsn = step.attempt.deps.islands.dsn(step.from);
  const conninfo = subscriptionConninfo(dsn, input.plan.source.serverMajor, replicationName);
  return step.session(step.to, {}, async (client) => {
    await Promise.all([step.attempt.ensureCurrent(), ensureDurable(client)]);
    await ensureOwnCopy(step, client);
    return ensureSubscription(client, {
      name: replicationName,
      conninfo,
      copyData,
      enabled,
      binary: tables.every((table) => table.binarySafe),
      serverMajor: input.plan.destination.serverMajor,
      superuser: input.plan.destination.superuser,
    });
  });
}

/** The subscription is created when all rows are there: its presence means that a direct copy is complete. */
export async function isSubscribed(step: MoveStep): Promise<boolean> {
  const { rowCount } = await step.onDestination((client) =>
    client.query(
      `SELECT FROM pg_subscription
       WHERE subname = $1 AND subdbid = ${DATABASE_OID}`,
      [step.replicationName],
    ),
  );
  return rowCount === 1;
}
