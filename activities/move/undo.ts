import type { ClientBase } from "pg";

import type { StepReport } from "../../contract/move.ts";
import { ShardferryError } from "../../src/errors.ts";
import { withLockRetry } from "../../src/postgres/locks.ts";
import { ident } from "../../src/postgres/quote.ts";
import { namesBegin, replicationNames, runOfMark } from "../../src/postgres/replication/names.ts";
import {
  disableSubscription,
  dropPublication,
  dropSlots,
  dropSubscription,
  idlePublishers,
  idleSubscriptions,
  type RunLocked,
} from "../../src/postgres/replication/objects.ts";
import { dropCachedDump } from "../../src/postgres/schema/dump.ts";
import { readSchema } from "../../src/postgres/schema/tables.ts";
import { releaseShard } from "../attempt/leases.ts";
import { dropOwnCopy } from "./parts/half-made-copy.ts";
import { hasLeft } from "./parts/source-facts.ts";
import type { Step } from "./parts/step.ts";

/** Undoing a move whose source has left would destroy the only copy that is up to date. */
class AlreadySwitchedError extends ShardferryError {
  constructor(step: Step) {
    super(
      "already_switched",
      `"${step.schema}" has left ${step.from}: its move can only be finished, not undone`,
    );
  }
}

/** The compensation of `subscribe`. */
export async function undoReplication(step: Step): Promise<StepReport> {
  await step.endOrphans(step.from);
  await ensureNotLeft(step);
  return dropReplication(step);
}

/** To be asked after the sessions of a switch are ended: until then one of them may be about to commit. */
async function ensureNotLeft(step: Step): Promise<void> {
  if (step.input.kind === "move" && (await hasLeft(step))) throw new AlreadySwitchedError(step);
}

/**
 * Drops subscription, slot and publication, and with it restores the replica identities of the source's tables,
 * which may stand in a renamed schema by now. The source is freed first and also when the destination is
 * away, since a slot left behind fills its disk; the subscription goes last, because from it the slots
 * that its tablesync workers may have left are known.
 */
export async function dropReplication(step: Step): Promise<StepReport> {
  const { names } = step;
  const disabled = await settled(
    step.onDestination((client) => disableSubscription(client, names.subscription)),
  );
  await step.onSource(async (client) => {
    await dropSlots(client, names.slot, disabled.ok ? disabled.value : null);
    await dropPublication(client, names.publication, lockedRunner(step, client));
  });
  if (!disabled.ok) throw disabled.error;
  await step.onDestination((client) => dropSubscription(client, names.subscription));
  return {
    text: `dropped the subscription on ${step.to}, the slot and the publication on ${step.from}`,
    sql: [`DROP SUBSCRIPTION ${ident(names.subscription)}`, `DROP PUBLICATION ${ident(names.publication)}`],
  };
}

/** The compensation of `create structure`. */
export async function dropStructure(step: Step): Promise<StepReport> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  await ensureNotLeft(step);
  await releaseShard(step);
  const dropped = await step.session(step.to, {}, (client) => dropOwnCopy(step, client));
  await dropCachedDump(step.runId);
  return { text: dropped ? `dropped the half-made copy on ${step.to}` : `no half-made copy on ${step.to}` };
}

/**
 * Drops what runs of this workflow that were terminated have left under names of their own: a slot that
 * nobody reads fills the source's disk. What is at work is left alone, unless Temporal knows its run to be over.
 */
export async function dropEarlierRuns(step: Step): Promise<void> {
  const begin = namesBegin(step.workflowId, step.schema);
  const over = await step.onDestination((client) => runThatIsOver(client, step));
  if (over !== null) await Promise.all([step.endOrphans(step.from, over), step.endOrphans(step.to, over)]);
  const dead = await step.onDestination(async (client) => {
    const found = new Map<string, string | null>();
    for (const name of await idleSubscriptions(client, begin, step.names.subscription, over))
      found.set(name, await disableSubscription(client, name));
    return found;
  });
  await step.onSource(async (client) => {
    const { slots, publications } = await idlePublishers(client, begin, step.names.slot, over);
    for (const pattern of dead.values()) await dropSlots(client, "", pattern);
    for (const slot of slots) await dropSlots(client, slot, null);
    for (const publication of publications)
      await dropPublication(client, publication, lockedRunner(step, client));
  });
  // Last: from them the slots of their tablesync workers are known.
  await step.onDestination(async (client) => {
    for (const name of dead.keys()) await dropSubscription(client, name);
  });
}

/** What the run that made the half-made copy on the destination calls its objects, if Temporal knows it to be over. */
async function runThatIsOver(client: ClientBase, step: Step): Promise<string | null> {
  const { comment } = await readSchema(client, step.schema);
  const run = runOfMark(comment, step.workflowId);
  if (run === null || run === step.runId || !(await step.isOver(run))) return null;
  return replicationNames(step.workflowId, run, step.schema).slot;
}

const lockedRunner =
  (step: Step, client: ClientBase): RunLocked =>
  (sql) =>
    withLockRetry(client, sql, step, step.lend(step.from));

type Settled<T> = { ok: true; value: T } | { ok: false; error: unknown };

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { ok: true, value: await promise };
  } catch (error) {
    return { ok: false, error };
  }
}
