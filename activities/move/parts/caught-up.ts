import type { ClientBase } from "pg";

import { untilCaughtUp } from "../../../src/postgres/replication/position.ts";
import { ReplicationTrouble } from "./replication-health.ts";
import type { MoveStep } from "./step.ts";

/** Waits until the destination has everything that the source had when the wait began. */
export const catchUpWith = (step: MoveStep, source: ClientBase, destination: ClientBase): Promise<void> =>
  untilCaughtUp(source, destination, step.replicationName, whileBehind(step));

/**
 * Returns what to do whenever the destination is late: report what holds it up. That throws if the destination will never
 * catch up, or if the step is cancelled.
 */
export function whileBehind(step: MoveStep): (tell?: (waitingFor: string) => void) => Promise<void> {
  const trouble = new ReplicationTrouble(step);
  return async (tell = (waitingFor) => step.beat({ waitingFor })) => {
    step.attempt.throwIfCancelled();
    tell((await trouble.look()) ?? `the subscription on ${step.to} to catch up with ${step.from}`);
  };
}
