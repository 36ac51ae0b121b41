import type { ClientBase } from "pg";

import { flushedPosition, waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { ReplicationTrouble } from "./replication-health.ts";
import type { MoveStep } from "./step.ts";

/** Milliseconds between two heartbeats while the destination catches up. */
const CATCH_UP_MS = 1000;

/** Waits until the destination has everything that the source had when the wait began. */
export async function catchUpWith(
  step: MoveStep,
  source: ClientBase,
  destination: ClientBase,
): Promise<void> {
  const position = await flushedPosition(source);
  const trouble = new ReplicationTrouble(step);
  const reached = (): Promise<boolean> =>
    waitUntilApplied(destination, step.replicationName, position, CATCH_UP_MS);
  while (!(await reached())) {
    step.attempt.throwIfCancelled();
    const reason = await trouble.look();
    step.attempt.beat({
      waitingFor: reason ?? `the subscription on ${step.to} to catch up with ${step.from}`,
    });
  }
}
