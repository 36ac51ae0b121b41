import type pg from "pg";

import { ShardferryError } from "../../../src/errors.ts";
import { activateSql } from "../../../src/postgres/api/shards.ts";
import { apiSchemaOf } from "../../../src/postgres/api/sql-api.ts";
import { recordArrivalSql } from "../../../src/postgres/api/switches.ts";
import { messageWithoutRows } from "../../../src/postgres/errors/without-rows.ts";
import { COPY_SETTINGS } from "../../../src/postgres/islands/session-settings.ts";
import { ensureDurable, waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { POLL_MS } from "../../attempt/poll.ts";
import { type Outcome } from "../parts/book.ts";
import { completeSchema } from "../parts/complete-schema.ts";
import { copyLocked } from "../parts/copy-locked.ts";
import { ensureNotFailedOver, ensureReplicated } from "../parts/guards.ts";
import { readFacts } from "../parts/source-facts.ts";
import { type MoveStep } from "../parts/step.ts";
import { LOCKING } from "./sessions.ts";
import { beginArrival } from "./statements.ts";

type Left = NonNullable<Outcome["left"]>;

/** The switch has passed its point of no return; once whatever prevents its completion is fixed, it completes. */
class RollForwardError extends ShardferryError {
  override readonly retryable = true;

  constructor(step: MoveStep, cause: unknown) {
    super(
      "switch_unfinished",
      `shard "${step.schema}" has left ${step.from} and is not yet active on ${step.to}; trying again: ${messageWithoutRows(cause)}`,
      { cause },
    );
  }
}

/**
 * Finishes a switch whose shard has left the source and not arrived on the destination: it is active
 * nowhere, so this runs before anything else. The sequences were set before the shard left; everything else that
 * is needed is in the renamed old copy. The destination may have restarted and lost changes that were applied
 * but not yet durable; they are sent again, so it waits for the position once more.
 */
export async function rollForward(step: MoveStep, shard: number, left: Left): Promise<void> {
  try {
    await step.bothSides(
      { settings: COPY_SETTINGS },
      { settings: LOCKING, reuse: false },
      async (source, destination) => {
        await Promise.all([step.attempt.ensureCurrent(), ensureDurable(destination)]);
        await arrive(step, shard, left, source, destination);
      },
    );
  } catch (error) {
    throw new RollForwardError(step, error);
  }
}

async function arrive(
  step: MoveStep,
  shard: number,
  left: Left,
  source: pg.Client,
  destination: pg.Client,
): Promise<void> {
  const facts = await step.attempt.reading(step.from, () => readFacts(step, source, left.leftover));
  await ensureNotFailedOver(step, destination);
  await waitForPosition(step, left, destination);
  const apiSchema = await apiSchemaOf(destination, step.to);
  const {
    schema,
    attempt: { workflowId, runId },
  } = step;
  const entry = { schema, shard, workflowId, runId, epoch: left.epoch };
  await destination.query(beginArrival(apiSchema, entry, step.from).join(";\n"));
  await ensureReplicated(step, facts, destination);
  await copyLocked(step, facts, source, destination, left.leftover);
  const sql = [
    recordArrivalSql(apiSchema, schema),
    ...completeSchema(step, facts),
    activateSql(apiSchema, entry.shard),
    "COMMIT",
  ];
  await destination.query(sql.join(";\n"));
}

async function waitForPosition(step: MoveStep, left: Left, destination: pg.Client): Promise<void> {
  const reached = (): Promise<boolean> =>
    waitUntilApplied(destination, step.replicationName, left.switchLsn, POLL_MS);
  while (!(await reached())) {
    step.attempt.beat({ waitingFor: `the last changes of "${step.schema}" to be applied on ${step.to}` });
  }
}
