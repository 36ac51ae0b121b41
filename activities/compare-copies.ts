import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import type { CompareReport, VerifyInput } from "../contract/verify.ts";
import { ShardferryError } from "../src/errors.ts";
import { OBJECT_PREFIX } from "../src/postgres/replication/names.ts";
import { untilCaughtUp } from "../src/postgres/replication/position.ts";
import { COMPARING } from "../src/verify/sides.ts";
import type { ActivityAttempt } from "./attempt/attempt.ts";
import { LagWatch } from "./attempt/lag-watch.ts";
import { Comparison } from "./verify/comparison.ts";

/** Milliseconds between two readings of rows if nothing keeps the copies in step. */
const AGAIN_MS = 100;

/** What kept the copy in step has ended meanwhile, as when a way back is closed. */
class NotFollowedError extends ShardferryError {
  constructor({ toSchema, to }: VerifyInput, subscription: string) {
    super(
      "not_followed",
      `nothing keeps "${toSchema}" on ${to} in step any more: its subscription (${subscription}) is gone or disabled; compare again`,
    );
  }
}

/** Compares any two copies of a schema, whether one of our subscriptions keeps them in step or nothing does. */
export async function compareCopies(attempt: ActivityAttempt, input: VerifyInput): Promise<CompareReport> {
  const { schema, from, toSchema, to, maxReplicationLagSec } = input;
  const { islands } = attempt.deps;
  const sessionName = `shardferry verify ${attempt.runId}`.slice(0, 63);
  await Promise.all([attempt.endSessions(from, sessionName), attempt.endSessions(to, sessionName)]);
  const options = { ...COMPARING, applicationName: sessionName };
  const followed = (client: ClientBase): Promise<string | null> => subscriptionOf(client, toSchema);
  const subscription = await islands.withClient(to, followed);
  const lag = new LagWatch(attempt, [...new Set([from, to])], maxReplicationLagSec);
  return new Comparison({
    attempt,
    source: { island: from, schema },
    destination: { island: to, schema: toSchema },
    wanted: () => true,
    bothSides: (use) =>
      islands.withSessions(
        [
          [from, options],
          [to, options],
        ],
        ([source, destination]) => use(source!, destination!),
      ),
    watched: (look, work) => attempt.watched(from, look, work, sessionName),
    lagging: () => lag.look(),
    caughtUp: (source, destination, waiting) =>
      subscription === null
        ? sleep(AGAIN_MS)
        : untilCaughtUp(source, destination, subscription, async () => {
            attempt.throwIfCancelled();
            if ((await islands.withLook(to, followed)) !== subscription)
              throw new NotFollowedError(input, subscription);
            waiting(`the subscription ${subscription} on ${to} to catch up with ${from}`);
          }),
  }).run();
}

/** Our subscription that fills the tables of a schema, if there is one. */
async function subscriptionOf(client: ClientBase, schema: string): Promise<string | null> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT s.subname AS name
     FROM pg_subscription s
     JOIN pg_subscription_rel r ON r.srsubid = s.oid
     JOIN pg_class c ON c.oid = r.srrelid
     WHERE s.subenabled AND starts_with(s.subname, $2)
       AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
     LIMIT 1`,
    [schema, OBJECT_PREFIX],
  );
  return rows[0]?.name ?? null;
}
