import type { ClientBase } from "pg";

import type { StepProgress } from "../../../contract/progress.ts";
import { describeBlockers, openWriters } from "../../../src/postgres/blockers.ts";
import { toConninfo } from "../../../src/postgres/islands/dsn.ts";
import { NO_TIMEOUTS } from "../../../src/postgres/islands/session-settings.ts";
import { ensureSubscription } from "../../../src/postgres/replication/objects.ts";
import { ensureDurable } from "../../../src/postgres/replication/position.ts";
import { readTables, type Table } from "../../../src/postgres/schema/tables.ts";
import { DATABASE_OID } from "../../../src/postgres/server.ts";
import { ensureOwnCopy } from "./half-made-copy.ts";
import type { MoveStep } from "./step.ts";

/** How long the source waits without a word from the destination before it considers it dead. */
const WAL_SENDER_TIMEOUT = "300s";

/** The tables that are replicated: those with rows of their own, except those copied under the lock. */
export async function publishedTables(step: MoveStep): Promise<Table[]> {
  const locked = new Set(step.input.plan.lockedCopies);
  const tables = await step.onSource((client) => readTables(client, step.schema));
  return tables.filter((table) => table.kind === "r" && !locked.has(table.name));
}

/** Who keeps the slot from being created, for the display meanwhile. */
export async function oldestTransaction(client: ClientBase): Promise<StepProgress> {
  const writers = await openWriters(client);
  if (writers.length === 0) return { note: "creating the replication slot" };
  return { waitingFor: `transactions on the source to end: ${describeBlockers(writers)}` };
}

/** Creates the subscription on the destination. */
export async function createSubscription(
  step: MoveStep,
  tables: readonly Table[],
  copyData: boolean,
): Promise<string | null> {
  const { replicationName, input } = step;
  // For the subscription's sessions on the source, which refuses sessions with options that it does not know.
  const settings: Record<string, string> = { ...NO_TIMEOUTS, wal_sender_timeout: WAL_SENDER_TIMEOUT };
  if (input.plan.source.serverMajor >= 17) settings["transaction_timeout"] = "0";
  const conninfo = toConninfo(step.attempt.deps.islands.dsn(step.from), {
    application_name: replicationName,
    connect_timeout: "10",
    keepalives_idle: "10",
    keepalives_interval: "5",
    keepalives_count: "3",
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(" "),
  });
  return step.session(step.to, {}, async (client) => {
    await Promise.all([step.attempt.ensureCurrent(), ensureDurable(client)]);
    await ensureOwnCopy(step, client);
    return ensureSubscription(client, {
      name: replicationName,
      conninfo,
      copyData,
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
