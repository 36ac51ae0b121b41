import type { ClientBase } from "pg";

import { ShardferryError } from "../src/errors.ts";
import { dropCachedDump } from "../src/postgres/dump.ts";
import { withLockRetry } from "../src/postgres/locks.ts";
import { namesBegin } from "../src/postgres/names.ts";
import { ident, qualified } from "../src/postgres/quote.ts";
import {
  disableSubscription,
  dropPublication,
  dropSlots,
  dropSubscription,
  idlePublishers,
  idleSubscriptions,
} from "../src/postgres/replication.ts";
import type { StepReport } from "../workflows/contract.ts";
import type { Step } from "./context.ts";
import { dropOwnCopy } from "./half-made-copy.ts";
import { releaseShard } from "./leases.ts";
import { hasLeft } from "./switch/facts.ts";

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
  return dropReplication(step, step.schema);
}

/** To be asked after the sessions of a switch are ended: until then one of them may be about to commit. */
async function ensureNotLeft(step: Step): Promise<void> {
  if (step.input.kind === "move" && (await hasLeft(step))) throw new AlreadySwitchedError(step);
}

/**
 * Drops subscription, slot and publication, and restores the replica identities of the source's tables,
 * which may stand in a renamed schema by now. The source is freed first and also when the destination is
 * away, since a slot left behind fills its disk; the subscription goes last, because from it the slots
 * that its tablesync workers may have left are known.
 */
export async function dropReplication(step: Step, sourceSchema: string): Promise<StepReport> {
  const { names } = step;
  const disabled = await settled(
    step.onDestination((client) => disableSubscription(client, names.subscription)),
  );
  await step.onSource(async (client) => {
    await dropSlots(client, names.slot, disabled.ok ? disabled.value : null);
    await dropPublication(client, names.publication);
    await restoreIdentities(client, step, sourceSchema);
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
 * nobody reads fills the source's disk. What is at work is left alone.
 */
export async function dropEarlierRuns(step: Step): Promise<void> {
  const begin = namesBegin(step.workflowId, step.schema);
  const patterns = await step.onDestination(async (client) => {
    const names = await idleSubscriptions(client, begin, step.names.subscription);
    const found: string[] = [];
    for (const name of names) {
      const pattern = await disableSubscription(client, name);
      if (pattern !== null) found.push(pattern);
      await dropSubscription(client, name);
    }
    return found;
  });
  await step.onSource(async (client) => {
    const { slots, publications } = await idlePublishers(client, begin, step.names.slot);
    for (const pattern of patterns) await dropSlots(client, "", pattern);
    for (const slot of slots) await dropSlots(client, slot, null);
    for (const publication of publications) await dropPublication(client, publication);
  });
}

/** Gives the tables without a key the replica identity back that they had before the move. */
async function restoreIdentities(client: ClientBase, step: Step, schema: string): Promise<void> {
  const WORDS = { d: "DEFAULT", n: "NOTHING" } as const;
  for (const { table, was } of step.input.plan.identityOverrides) {
    const name = qualified(schema, table);
    const { rows } = await client.query<{ now: string }>(
      // Where somebody else publishes it, the table without key must keep it: else its updates fail.
      `SELECT relreplident AS now FROM pg_class WHERE oid = to_regclass($1)
         AND oid NOT IN (SELECT prrelid FROM pg_publication_rel)`,
      [name],
    );
    if (rows[0]?.now !== "f" || was === "i") continue;
    const restore = `ALTER TABLE ONLY ${name} REPLICA IDENTITY ${WORDS[was]}`;
    await withLockRetry(client, restore, step, (use) => step.onSource(use));
  }
}

type Settled<T> = { ok: true; value: T } | { ok: false; error: unknown };

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { ok: true, value: await promise };
  } catch (error) {
    return { ok: false, error };
  }
}
