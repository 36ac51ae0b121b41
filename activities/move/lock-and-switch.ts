import type pg from "pg";

import type { SwitchInput, SwitchReport } from "../../contract/move.ts";
import type { IslandName } from "../../contract/names.ts";
import { apiSchemaOf } from "../../src/postgres/api/sql-api.ts";
import { epochOf } from "../../src/postgres/api/switches.ts";
import { backoffMs, creatorsSql } from "../../src/postgres/locks.ts";
import { ensureDurable, flushedPosition, waitUntilApplied } from "../../src/postgres/replication/position.ts";
import { schemaFingerprint } from "../../src/postgres/schema/fingerprint.ts";
import { findCopyName } from "../../src/postgres/schema/free-copy-name.ts";
import { readSchema } from "../../src/postgres/schema/tables.ts";
import { readSequenceValues } from "../../src/sequences/hand-over.ts";
import { lookAtOutcome } from "./parts/book.ts";
import { ensureNotFailedOver, ensurePublished } from "./parts/guards.ts";
import { ReplicationTrouble } from "./parts/replication-health.ts";
import { readFacts } from "./parts/source-facts.ts";
import type { MoveStep } from "./parts/step.ts";
import { SchemaChangedError } from "./parts/structure.ts";
import { rollForward } from "./switch/roll-forward.ts";
import { LOCKING, type SwitchSessions } from "./switch/sessions.ts";
import { rehearse } from "./switch/statements.ts";
import { switchOnce } from "./switch/switch-once.ts";

/** Milliseconds between two heartbeats while the destination catches up before the lock. */
const CATCH_UP_MS = 1000;

/**
 * Locks the source, waits until the destination is in step, and switches; tries again until it works, is
 * aborted, or cannot work any more. What an earlier attempt has done is looked up first, after its
 * sessions are ended: a switch that passed its point of no return is finished, never undone.
 */
export async function lockAndSwitch(step: MoveStep, input: SwitchInput): Promise<SwitchReport> {
  const finished = await settleSwitch(step, input);
  if (finished) return finished;
  try {
    return await switchWhenFree(step, input);
  } catch (error) {
    // Whatever went wrong, and wherever: only the book of switches knows whether the source has left.
    const rolledForward = await settleSwitch(step, input);
    if (rolledForward) return rolledForward;
    throw error;
  }
}

/**
 * Finishes a switch whose source has left; null when it has not, and then it never will: all sessions of
 * earlier attempts are ended before the look, since one of them may have been about to commit.
 */
export async function settleSwitch(step: MoveStep, input: SwitchInput): Promise<SwitchReport | null> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const { left, arrived } = await lookAtOutcome(step);
  if (!left) return null;
  if (!arrived) await rollForward(step, input.move.shard, left);
  return report(step, left.leftover, 0, "finished a switch that was interrupted");
}

async function switchWhenFree(step: MoveStep, input: SwitchInput): Promise<SwitchReport> {
  const tried: Tried = { attempts: 0, writeBlockedMs: 0 };
  for (;;) {
    const switched = await withPlan(step, input, (plan) => trySwitching(plan, tried));
    if (switched) return switched;
  }
}

/** What earlier attempts have come to. */
interface Tried {
  attempts: number;
  writeBlockedMs: number;
}

/** Tries until it works; null when that takes new sessions. */
async function trySwitching(plan: SwitchSessions, tried: Tried): Promise<SwitchReport | null> {
  const { step } = plan;
  for (;;) {
    step.attempt.throwIfCancelled();
    await catchUp(plan);
    const result = await switchOnce(plan);
    tried.writeBlockedMs = Math.max(tried.writeBlockedMs, result.blockedMs);
    if (result.done) return report(step, plan.leftover, tried.writeBlockedMs, "switched");
    step.attempt.beat({
      waitingFor: result.reason,
      note: `attempt ${++tried.attempts} blocked writers for ${result.blockedMs} ms`,
    });
    await step.attempt.pause(backoffMs(tried.attempts - 1));
    if (result.spent) return null;
  }
}

const report = (step: MoveStep, leftover: string, writeBlockedMs: number, how: string): SwitchReport => ({
  text: `${how}: "${step.schema}" is active on ${step.to}; writers were blocked for ${writeBlockedMs} ms`,
  writeBlockedMs,
  leftover,
});

/** Opens the four sessions and reads everything that can be read before the lock. */
async function withPlan<T>(
  step: MoveStep,
  input: SwitchInput,
  use: (plan: SwitchSessions) => Promise<T>,
): Promise<T> {
  const locking = { settings: LOCKING, reuse: false };
  const observing = { settings: { synchronous_commit: "local" } };
  const sides = [locking, observing];
  return step.sessions(sides, sides, async ([source, sourceObserver], [destination, destinationObserver]) => {
    const {
      schema,
      attempt: { workflowId, runId },
    } = step;
    const [{ cancelled }, departure, arrival] = await Promise.all([
      step.attempt.ensureCurrent(),
      readSource(step, source!, sourceObserver!),
      readDestination(step, destination!),
    ]);
    if (cancelled) await step.attempt.awaitCancellation();
    const epoch = departure.epoch > arrival.epoch ? departure.epoch : arrival.epoch;
    const plan: SwitchSessions = {
      step,
      facts: departure.facts,
      source: source!,
      sourceObserver: sourceObserver!,
      destination: destination!,
      destinationObserver: destinationObserver!,
      sourceApiSchema: departure.apiSchema,
      destinationApiSchema: arrival.apiSchema,
      entry: { schema, shard: input.move.shard, workflowId, runId, epoch: String(epoch + 1n) },
      leftover: departure.leftover,
      maxWriteBlockMs: input.move.maxWriteBlockMs,
    };
    await rehearse(plan);
    return use(plan);
  });
}

/**
 * Reads in the observing session, which may know the catalogs already; in the one that will hold the lock, runs the
 * statements of the locked part once, so that the lock does not wait for a planner.
 */
async function readSource(step: MoveStep, source: pg.Client, observer: pg.Client) {
  const { schema, from } = step;
  const read = async () => ({
    facts: await readFacts(observer, schema),
    leftover: (await findCopyName(observer, schema, "old", step.attempt.scheduledAt)).free,
    ...(await bookOf(step, observer, from)),
  });
  const warm = async (): Promise<void> => {
    await schemaFingerprint(source, schema);
    await readSchema(source, schema);
    await source.query(creatorsSql(schema));
    await ensureDurable(source);
  };
  return step.attempt.reading(from, async () => {
    const [known] = await Promise.all([read(), warm()]);
    await readSequenceValues(source, schema, known.facts.sequences);
    return known;
  });
}

async function readDestination(step: MoveStep, destination: pg.Client) {
  await ensureNotFailedOver(step, destination);
  const book = await bookOf(step, destination, step.to);
  await ensureDurable(destination);
  return book;
}

async function bookOf(
  step: MoveStep,
  client: pg.Client,
  island: IslandName,
): Promise<{ apiSchema: string; epoch: bigint }> {
  const apiSchema = await apiSchemaOf(client, island);
  return { apiSchema, epoch: await epochOf(client, apiSchema, step.schema) };
}

/** Brings the destination close before the lock: what is left under it is a matter of milliseconds. */
async function catchUp(plan: SwitchSessions): Promise<void> {
  const { step } = plan;
  const fingerprint = await step.attempt.reading(step.from, () =>
    schemaFingerprint(plan.sourceObserver, step.schema),
  );
  if (fingerprint !== step.input.fingerprint) throw new SchemaChangedError(step.schema, step.from, false);
  await ensurePublished(step, plan.facts, plan.sourceObserver);
  const trouble = new ReplicationTrouble(step);
  for (;;) {
    const position = await flushedPosition(plan.sourceObserver);
    const deadline = Date.now() + CATCH_UP_MS;
    const near = await waitUntilApplied(
      plan.destinationObserver,
      step.replicationName,
      position,
      deadline,
      () => Promise.resolve(),
    );
    if (near) return;
    step.attempt.throwIfCancelled();
    const reason = await trouble.look();
    step.attempt.beat({
      waitingFor: reason ?? `the subscription on ${step.to} to catch up with ${step.from}`,
    });
  }
}
