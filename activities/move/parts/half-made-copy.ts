import type { ClientBase } from "pg";

import { ShardferryError } from "../../../src/errors.ts";
import { runOfMark } from "../../../src/postgres/replication/names.ts";
import { dropSchema } from "../../../src/postgres/schema/drop-schema.ts";
import { readSchema } from "../../../src/postgres/schema/tables.ts";
import { alive } from "../../attempt/attempt.ts";
import type { MoveStep } from "./step.ts";

/** There is somebody else's schema on the destination; at preflight there was none. */
class SchemaExistsError extends ShardferryError {
  constructor({ schema, to }: MoveStep, comment: string | null) {
    super(
      "schema_exists",
      `schema "${schema}" appeared on ${to} and was not made by this move; it is left alone` +
        (comment
          ? ` (its comment: ${comment}; if that move has ended, "shardferry cleanup" removes it)`
          : ""),
    );
  }
}

/** What this run has created on the destination is gone. */
export class CopyGoneError extends ShardferryError {
  constructor({ schema, to }: MoveStep) {
    super(
      "copy_gone",
      `the half-made copy of "${schema}" on ${to} was dropped or replaced by somebody; run the move again`,
    );
  }
}

/**
 * Makes room for the structure: drops what an attempt of this run, or an earlier run of the same workflow, has
 * created. A run that is not known to have ended may still be running, in another namespace.
 */
export async function makeRoom(step: MoveStep, client: ClientBase): Promise<void> {
  const { exists, comment } = await readSchema(client, step.schema);
  if (!exists) return;
  const run = runOfMark(comment, step.attempt.workflowId);
  const ours = run !== null && (run === step.attempt.runId || (await step.attempt.isOver(run)));
  if (!ours) throw new SchemaExistsError(step, comment);
  await drop(step, client);
}

/** Drops what this run has created on the destination; returns whether there was anything. */
export async function dropOwnCopy(step: MoveStep, client: ClientBase): Promise<boolean> {
  const own = isOwnMark(step, (await readSchema(client, step.schema)).comment);
  if (own) await drop(step, client);
  return own;
}

/** Throws unless the schema on the destination is the copy that this run is making: no other run may fill it. */
export async function ensureOwnCopy(step: MoveStep, client: ClientBase): Promise<void> {
  const { comment } = await readSchema(client, step.schema);
  ensureOwnMark(step, comment);
}

/** The same, if the comment of that schema is known. */
export function ensureOwnMark(step: MoveStep, comment: string | null): void {
  if (!isOwnMark(step, comment)) throw new CopyGoneError(step);
}

/** True for the mark of the run whose copy this step works on. */
export const isOwnMark = (step: MoveStep, comment: string | null): boolean =>
  runOfMark(comment, step.owner.workflowId) === step.owner.runId;

async function drop(step: MoveStep, client: ClientBase): Promise<void> {
  let rest = "";
  const look = alive(() => `dropping the half-made copy${rest}`);
  await step.watched(step.to, look, () =>
    dropSchema(client, step.schema, {
      island: step.to,
      patience: step.attempt,
      lend: step.attempt.lend(step.to),
      tell: (left) => (rest = `: ${left} tables, views and sequences left`),
    }),
  );
}
