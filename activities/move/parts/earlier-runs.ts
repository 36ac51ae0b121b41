import type { ClientBase } from "pg";

import { namesBegin, replicationName, runOfMark } from "../../../src/postgres/replication/names.ts";
import {
  disableSubscription,
  dropPublication,
  dropSlots,
  dropSubscription,
  idlePublishers,
  idleSubscriptions,
} from "../../../src/postgres/replication/objects.ts";
import { readSchema } from "../../../src/postgres/schema/tables.ts";
import { lockedRunner } from "./drop-replication.ts";
import type { MoveStep } from "./step.ts";

/**
 * Drops what terminated runs of this workflow have left under their own names: a slot that nobody reads fills the
 * source's disk. Anything in use is left alone, unless Temporal knows that its run has ended.
 */
export async function dropEarlierRuns(step: MoveStep): Promise<void> {
  const begin = namesBegin(step.attempt.workflowId, step.schema);
  const over = await step.onDestination((client) => runThatIsOver(client, step));
  if (over !== null) await Promise.all([step.endOrphans(step.from, over), step.endOrphans(step.to, over)]);
  const dead = await step.onDestination(async (client) => {
    const found = new Map<string, string | null>();
    for (const name of await idleSubscriptions(client, begin, step.replicationName, over))
      found.set(name, await disableSubscription(client, name));
    return found;
  });
  await step.onSource(async (client) => {
    const { slots, publications } = await idlePublishers(client, begin, step.replicationName, over);
    for (const pattern of dead.values()) await dropSlots(client, "", pattern);
    for (const slot of slots) await dropSlots(client, slot, null);
    for (const publication of publications)
      await dropPublication(client, publication, lockedRunner(step, client));
  });
  // Last, because they are needed to find the slots of their tablesync workers.
  await step.onDestination(async (client) => {
    for (const name of dead.keys()) await dropSubscription(client, name);
  });
}

/** The object name of the run that made the half-made copy on the destination, if Temporal knows that it has ended. */
async function runThatIsOver(client: ClientBase, step: MoveStep): Promise<string | null> {
  const { comment } = await readSchema(client, step.schema);
  const run = runOfMark(comment, step.attempt.workflowId);
  if (run === null || run === step.attempt.runId || !(await step.attempt.isOver(run))) return null;
  return replicationName(step.attempt.workflowId, run, step.schema);
}
