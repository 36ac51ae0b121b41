import { findLeasingSchema, releaseLeases, takeLeases } from "../../../src/postgres/api/leases.ts";
import { describeLeases, evictDead } from "../../attempt/leases.ts";
import { POLL_MS } from "../../attempt/poll.ts";
import type { MoveStep } from "./step.ts";

/**
 * Takes the shard's lease on the source for a move or copy, after waiting for a migration of the shard to end. Databases
 * without the SQL API, from which any schema can be copied, have no leases.
 */
export async function leaseShard(step: MoveStep): Promise<void> {
  for (;;) {
    const waitingFor = await step.onSource(async (client) => {
      const apiSchema = await findLeasingSchema(client);
      if (apiSchema === null) return null;
      const blocking = await takeLeases(client, apiSchema, step.attempt, [step.schema], "replication");
      if (blocking.length === 0) return null;
      return describeLeases(await evictDead(step.attempt, client, apiSchema, blocking), step.from);
    });
    if (waitingFor === null) return;
    if (waitingFor !== "") {
      step.attempt.beat({ waitingFor });
      await step.attempt.pause(POLL_MS);
    }
  }
}

/** Returns the lease on the source at the end of a move or copy. */
export async function releaseShard(step: MoveStep): Promise<void> {
  await step.onSource(async (client) => {
    const apiSchema = await findLeasingSchema(client);
    if (apiSchema !== null) await releaseLeases(client, apiSchema, step.attempt.runId);
  });
}
