import type { ClientBase } from "pg";

import type { StepReport } from "../../contract/progress.ts";
import type { OpenInput } from "../../contract/way-back.ts";
import { ShardferryError } from "../../src/errors.ts";
import { duration } from "../../src/format.ts";
import { apiSchemaOf } from "../../src/postgres/api/sql-api.ts";
import { readArrival } from "../../src/postgres/api/switches.ts";
import { ident } from "../../src/postgres/quote.ts";
import { ensureDurable } from "../../src/postgres/replication/position.ts";
import { DATABASE_OID } from "../../src/postgres/server.ts";
import { POLL_MS } from "../attempt/poll.ts";
import { ensureNotFailedOver } from "../move/parts/guards.ts";
import { publishedTables } from "../move/parts/publication.ts";
import type { MoveStep } from "../move/parts/step.ts";
import { createSubscription } from "../move/parts/subscription.ts";
import { nameAsShard } from "./old-copy.ts";

/**
 * Milliseconds for which the old copy has another name, so that readers who still look there get 42P01, and look again where
 * the shard is. Ent Framework, for one, looks every 10 s, and at each such error.
 */
const READERS_LOOK_AGAIN_MS = 15_000;

/** The book does not know the switch. */
class NotArrivedError extends ShardferryError {
  constructor({ schema, from }: MoveStep) {
    super(
      "way_back_broken",
      `the book of switches on ${from} does not say at which position "${schema}" has arrived there; it has been switched again since`,
    );
  }
}

/**
 * Opens the way back: the old copy gets its name back, and a subscription to the shard that begins exactly with the switch.
 *
 * The position from which changes are sent is the subscription's replication origin. A subscription that is created
 * without a connection knows no tables, and skips the first changes silently; so it is created with one, but disabled.
 */
export async function openWayBack(
  step: MoveStep,
  { opener, leftover, expiresAt }: OpenInput,
): Promise<StepReport> {
  const { schema, from, to, replicationName } = step;
  await Promise.all([step.endOrphans(from), step.endOrphans(to)]);
  const position = await untilReadersLookedAgain(step, opener);
  await step.session(to, {}, async (client) => {
    await Promise.all([step.attempt.ensureCurrent(), ensureDurable(client)]);
    await ensureNotFailedOver(step, client);
    await nameAsShard(step, client, { leftover, expiresAt });
  });
  await createSubscription(step, await publishedTables(step), false, false);
  await step.session(to, {}, (client) => enableAt(client, replicationName, position));
  return { text: `the old copy on ${to} follows "${schema}" on ${from}, from the switch on` };
}

/** Returns the position at which the shard has arrived, once its former readers have had time to look again. */
async function untilReadersLookedAgain(step: MoveStep, opener: OpenInput["opener"]): Promise<string> {
  for (;;) {
    const arrival = await step.onSource(async (client) =>
      readArrival(client, await apiSchemaOf(client, step.from), { schema: step.schema, ...opener }),
    );
    if (!arrival) throw new NotArrivedError(step);
    const left = READERS_LOOK_AGAIN_MS - arrival.msAgo;
    if (left <= 0) return arrival.position;
    step.attempt.beat({ waitingFor: `readers of the old place to look again: ${duration(left)}` });
    await step.attempt.pause(Math.min(POLL_MS, left));
  }
}

/** Enables the subscription from a position on; one that is enabled has got beyond it. */
async function enableAt(client: ClientBase, name: string, position: string): Promise<void> {
  const { rows } = await client.query<{ origin: string; enabled: boolean }>(
    `SELECT 'pg_' || oid AS origin, subenabled AS enabled FROM pg_subscription
     WHERE subname = $1 AND subdbid = ${DATABASE_OID}`,
    [name],
  );
  const { origin, enabled } = rows[0]!;
  if (enabled) return;
  await client.query("SELECT pg_replication_origin_advance($1, $2)", [origin, position]);
  await client.query(`ALTER SUBSCRIPTION ${ident(name)} ENABLE`);
}
