import { plural } from "../../../src/format.ts";
import { subscriptionConninfo } from "../../../src/postgres/replication/conninfo.ts";
import { ensureSubscription } from "../../../src/postgres/replication/objects.ts";
import { ensureDurable } from "../../../src/postgres/replication/position.ts";
import type { Table } from "../../../src/postgres/schema/tables.ts";
import { DATABASE_OID } from "../../../src/postgres/server.ts";
import { alive } from "../../attempt/attempt.ts";
import { ensureOwnCopy } from "./half-made-copy.ts";
import type { MoveStep } from "./step.ts";

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
    const options = {
      name: replicationName,
      conninfo,
      copyData,
      enabled,
      binary: tables.every((table) => table.binarySafe),
      serverMajor: input.plan.destination.serverMajor,
      superuser: input.plan.destination.superuser,
    };
    const look = alive(() => `creating the subscription to ${plural(tables.length, "table")}`);
    return step.watched(step.to, look, () => ensureSubscription(client, options));
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
