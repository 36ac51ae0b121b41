import type pg from "pg";

import type { MoveSwitches, SwitchInput } from "../../../contract/move.ts";
import type { IslandName } from "../../../contract/names.ts";
import { allEnd } from "../../../src/all-end.ts";
import { apiSchemaOf } from "../../../src/postgres/api/sql-api.ts";
import { epochOf } from "../../../src/postgres/api/switches.ts";
import { findCopyName } from "../../../src/postgres/schema/free-copy-name.ts";
import { lastValuesSql } from "../../../src/sequences/hand-over.ts";
import { ensureNotFailedOver } from "../parts/guards.ts";
import { readFacts } from "../parts/source-facts.ts";
import type { MoveStep } from "../parts/step.ts";
import { ChangingRowsComparison } from "./changing-rows.ts";
import { LOCKING, type SwitchSessions } from "./sessions.ts";
import { warmUp } from "./statements.ts";

/** Opens the five sessions and reads everything that can be read before the lock. */
export async function withSwitchSessions<T>(
  step: MoveStep,
  input: SwitchInput,
  use: (sessions: SwitchSessions) => Promise<T>,
): Promise<T> {
  const locking = { settings: LOCKING, reuse: false };
  const observing = { settings: { synchronous_commit: "local" } };
  const [onSource, onDestination] = [
    [locking, observing, observing],
    [locking, observing],
  ];
  const withAll = async (from: pg.Client[], to: pg.Client[], changing: ChangingRowsComparison | null) => {
    const [source, sourceObserver, sourceWatcher] = from as [pg.Client, pg.Client, pg.Client];
    const [destination, destinationObserver] = to as [pg.Client, pg.Client];
    const {
      schema,
      attempt: { workflowId, runId },
    } = step;
    const [{ cancelled }, departure, arrival] = await Promise.all([
      step.attempt.ensureCurrent(),
      readSource(step, sourceObserver, sourceWatcher),
      readDestination(step, destination),
    ]);
    if (cancelled) await step.attempt.awaitCancellation();
    const epoch = departure.epoch > arrival.epoch ? departure.epoch : arrival.epoch;
    const sessions: SwitchSessions = {
      step,
      facts: departure.facts,
      uncalled: departure.uncalled,
      source,
      sourceObserver,
      sourceWatcher,
      destination,
      destinationObserver,
      sourceApiSchema: departure.apiSchema,
      destinationApiSchema: arrival.apiSchema,
      entry: { schema, shard: input.move.shard, workflowId, runId, epoch: String(epoch + 1n) },
      leftover: departure.leftover,
      rehearsal: !input.move.activateOnDestination,
      views: (input.views ??= {}),
      changing,
      inventory: "",
      maxWriteBlockMs: input.move.maxWriteBlockMs,
      // A move that was begun before there was a budget has none in its input.
      maxWriteBlockBudgetSec: (input.move as Partial<MoveSwitches>).maxWriteBlockBudgetSec ?? Infinity,
    };
    await warmUp(sessions);
    return use(sessions);
  };
  return ChangingRowsComparison.with(step, input.changing ?? [], (changing) =>
    step.sessions(onSource, onDestination, (from, to) => withAll(from, to, changing)),
  );
}

/** Reads in the observing sessions, whose catalog caches may already be filled. */
async function readSource(step: MoveStep, observer: pg.Client, watcher: pg.Client) {
  const { schema, from } = step;
  return step.attempt.reading(from, async () => {
    const [facts, { free: leftover }, book] = await allEnd([
      readFacts(step, observer, schema),
      findCopyName(watcher, schema, "old", step.attempt.scheduledAt),
      bookOf(step, watcher, from),
    ]);
    const { rows } = await observer.query<{ no: number; value: string | null }>(
      lastValuesSql(facts.sequences),
    );
    const uncalled = rows.flatMap(({ no, value }) => (value === null ? [facts.sequences[no]!] : []));
    return { facts, uncalled, leftover, ...book };
  });
}

async function readDestination(step: MoveStep, destination: pg.Client) {
  await ensureNotFailedOver(step, destination);
  return bookOf(step, destination, step.to);
}

async function bookOf(
  step: MoveStep,
  client: pg.Client,
  island: IslandName,
): Promise<{ apiSchema: string; epoch: bigint }> {
  const apiSchema = await apiSchemaOf(client, island);
  return { apiSchema, epoch: await epochOf(client, apiSchema, step.schema) };
}
