import type pg from "pg";

import { newSchemaName } from "../src/postgres/names.ts";
import { ident } from "../src/postgres/quote.ts";
import { readSchema } from "../src/postgres/tables.ts";
import type { SwitchReport } from "../workflows/contract.ts";
import type { Step } from "./context.ts";
import { copyLocked } from "./switch/attempt.ts";
import { ensureDurable, flushedPosition, waitUntilApplied } from "./switch/catch-up.ts";
import { readFacts } from "./switch/facts.ts";
import { readSequenceValues, setSequences } from "./switch/sequences.ts";
import { completeSchema } from "./switch/sides.ts";
import { dropReplication } from "./undo.ts";

/** Milliseconds between two heartbeats while the destination catches up. */
const CATCH_UP_MS = 1000;

/**
 * Ends a copy, or a rehearsal of a move: brings the destination in step a last time, ends the replication,
 * and completes the schema with sequences, triggers and comment. A rehearsal's copy is renamed.
 */
export async function finishCopy(step: Step): Promise<SwitchReport> {
  const rehearsal = step.input.kind === "move";
  const leftover = rehearsal ? newSchemaName(step.schema, step.scheduledAt) : null;
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  await step.bothSides({ settings: { synchronous_commit: "local" } }, {}, async (source, destination) => {
    await ensureDurable(destination);
    await catchUp(step, source, destination);
    await dropReplication(step, step.schema);
    const { exists } = await readSchema(destination, step.schema);
    // An earlier attempt has come to the end, and only its answer was lost.
    if (!exists) return;
    const facts = await readFacts(source, step.schema);
    const values = await readSequenceValues(source, step.schema, facts.sequences);
    await destination.query("BEGIN");
    await copyLocked(step, facts, source, destination, step.schema);
    const sql = [...setSequences(step.schema, values), ...completeSchema(step.schema, facts)];
    if (leftover) sql.push(`ALTER SCHEMA ${ident(step.schema)} RENAME TO ${ident(leftover)}`);
    await destination.query([...sql, "COMMIT"].join(";\n"));
  });
  return { text: `"${leftover ?? step.schema}" on ${step.to} is complete`, writeBlockedMs: 0, leftover };
}

/** Waits until the destination has what the source had when this began; not when the replication has ended already. */
async function catchUp(step: Step, source: pg.Client, destination: pg.Client): Promise<void> {
  const { rowCount } = await destination.query(
    `SELECT FROM pg_subscription
     WHERE subname = $1 AND subenabled AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [step.names.subscription],
  );
  if (!rowCount) return;
  const position = await flushedPosition(source);
  const alive = (): Promise<void> => Promise.resolve();
  const reached = (): Promise<boolean> =>
    waitUntilApplied(destination, step.names.subscription, position, Date.now() + CATCH_UP_MS, alive);
  while (!(await reached())) {
    step.throwIfCancelled();
    step.beat({ waitingFor: `the subscription on ${step.to} to catch up with ${step.from}` });
  }
}
