import { type ActivityInterfaceFor, type ActivityOptions, proxyActivities } from "@temporalio/workflow";

import type { HistoryActivities } from "../contract/history.ts";
import type { MigrateActivities } from "../contract/migrate.ts";
import type { Activities } from "../contract/move.ts";
import { WAIT_QUEUE } from "../contract/names.ts";
import type { VerifyActivities } from "../contract/verify.ts";
import type { WayBackActivities } from "../contract/way-back.ts";
import { summaryOf } from "../src/summary.ts";

/**
 * Unlimited attempts: the restart of a server or a worker is no reason to give up a move, and permanent
 * errors are marked as such where they arise. WAIT_CANCELLATION_COMPLETED: with the SDK's default,
 * a compensation would race with the activity that it undoes.
 */
const COMMON: ActivityOptions = {
  cancellationType: "WAIT_CANCELLATION_COMPLETED",
  retry: { initialInterval: "250ms", backoffCoefficient: 2, maximumInterval: "5s" },
  startToCloseTimeout: "30 days",
};

/** Returns activities that also tell Temporal's page what each call is about. */
function summarized<A>(options: ActivityOptions): ActivityInterfaceFor<A> {
  const activities = proxyActivities<Record<string, (input: object) => Promise<unknown>>>(options);
  return new Proxy(activities, {
    get: (_, name: string) => (input: object) =>
      activities[name]!.executeWithOptions({ summary: summaryOf(input) }, [input]),
  }) as ActivityInterfaceFor<A>;
}

/** Steps that take seconds. A worker that dies is noticed after the heartbeat timeout. */
export const quick = summarized<Activities & HistoryActivities>({ ...COMMON, heartbeatTimeout: "10s" });

/** For what may take hours: on a queue of its own, so that it never takes the place of a switch. */
const PATIENT: ActivityOptions = { ...COMMON, heartbeatTimeout: "10s", taskQueue: WAIT_QUEUE };

/** Steps that may take hours. */
export const waiting = summarized<Activities & VerifyActivities & MigrateActivities & WayBackActivities>(
  PATIENT,
);

/** What runs alongside the steps. It has nothing to clean up, so nothing waits for its end. */
export const watching = proxyActivities<Activities & WayBackActivities>({
  ...PATIENT,
  cancellationType: "TRY_CANCEL",
});

/**
 * Steps during which the application waits: if a worker dies between two commits, a shard is active nowhere, or locked,
 * until the next attempt, which therefore has to come within seconds.
 */
export const urgent = summarized<Activities & MigrateActivities>({
  ...COMMON,
  heartbeatTimeout: "4s",
  retry: { initialInterval: "100ms", backoffCoefficient: 2, maximumInterval: "1s" },
});
