import type pg from "pg";

import type { MoveSwitches, SwitchInput } from "../../../contract/move.ts";
import type { IslandName } from "../../../contract/names.ts";
import { apiSchemaOf } from "../../../src/postgres/api/sql-api.ts";
import { epochOf } from "../../../src/postgres/api/switches.ts";
import { creatorsAfter } from "../../../src/postgres/blockers.ts";
import { ensureDurable } from "../../../src/postgres/replication/position.ts";
import { schemaFingerprint } from "../../../src/postgres/schema/fingerprint.ts";
import { findCopyName } from "../../../src/postgres/schema/free-copy-name.ts";
import { readSchema } from "../../../src/postgres/schema/tables.ts";
import { readSequenceValues } from "../../../src/sequences/hand-over.ts";
import { ensureNotFailedOver } from "../parts/guards.ts";
import { readFacts } from "../parts/source-facts.ts";
import type { MoveStep } from "../parts/step.ts";
import { LOCKING, type SwitchSessions } from "./sessions.ts";
import { rehearse } from "./statements.ts";

/** Opens the four sessions and reads everything that can be read before the lock. */
export async function withSwitchSessions<T>(
  step: MoveStep,
  input: SwitchInput,
  use: (sessions: SwitchSessions) => Promise<T>,
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
    const sessions: SwitchSessions = {
      step,
      facts: departure.facts,
      views: (input.views ??= {}),
      source: source!,
      sourceObserver: sourceObserver!,
      destination: destination!,
      destinationObserver: destinationObserver!,
      sourceApiSchema: departure.apiSchema,
      destinationApiSchema: arrival.apiSchema,
      entry: { schema, shard: input.move.shard, workflowId, runId, epoch: String(epoch + 1n) },
      leftover: departure.leftover,
      maxWriteBlockMs: input.move.maxWriteBlockMs,
      // A move that was begun before there was a budget has none in its input.
      maxWriteBlockBudgetSec: (input.move as Partial<MoveSwitches>).maxWriteBlockBudgetSec ?? Infinity,
    };
    await rehearse(sessions);
    return use(sessions);
  });
}

/**
 * Reads in the observing session, whose catalog caches may already be filled. In the session that will hold the lock, runs
 * the statements of the locked part once, so that nothing waits for the planner under the lock.
 */
async function readSource(step: MoveStep, source: pg.Client, observer: pg.Client) {
  const { schema, from } = step;
  const read = async () => ({
    facts: await readFacts(step, observer, schema),
    leftover: (await findCopyName(observer, schema, "old", step.attempt.scheduledAt)).free,
    ...(await bookOf(step, observer, from)),
  });
  const warm = async (): Promise<void> => {
    await schemaFingerprint(source, schema);
    await readSchema(source, schema);
    await creatorsAfter(source, ["SELECT"], schema);
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
