import { ShardferryError } from "../../../src/errors.ts";
import { apiSchemaOf } from "../../../src/postgres/api/sql-api.ts";
import { hasArrived, type LeftEntry, readLeft, type SwitchKey } from "../../../src/postgres/api/switches.ts";
import type { MoveStep } from "./step.ts";

/** Undoing a move whose source has left would destroy the only copy that is up to date. */
export class AlreadySwitchedError extends ShardferryError {
  constructor(step: MoveStep) {
    super(
      "already_switched",
      `"${step.schema}" has left ${step.from}: its move can only be finished, not undone`,
    );
  }
}

/** How far an earlier attempt of this very run has come: read from the book of switches on both islands. */
export interface Outcome {
  left: LeftEntry | null;
  arrived: boolean;
}

const keyOf = ({ schema, attempt: { workflowId, runId } }: MoveStep): SwitchKey => ({
  schema,
  workflowId,
  runId,
});

/** Looks on both islands what has happened: never assumed, always looked up. */
export async function lookAtOutcome(step: MoveStep): Promise<Outcome> {
  const left = await lookAtSource(step);
  // What has not left has not arrived either; and no destination is asked in vain that is another database by now.
  if (!left) return { left, arrived: false };
  const arrived = await step.onDestination(async (client) =>
    hasArrived(client, await apiSchemaOf(client, step.to), keyOf(step)),
  );
  return { left, arrived };
}

const lookAtSource = (step: MoveStep): Promise<LeftEntry | null> =>
  step.onSource(async (client) => readLeft(client, await apiSchemaOf(client, step.from), keyOf(step)));

/** To be asked after the sessions of a switch are ended: until then one of them may be about to commit. */
export async function ensureNotLeft(step: MoveStep): Promise<void> {
  if (step.input.kind === "move" && (await lookAtSource(step)) !== null) throw new AlreadySwitchedError(step);
}
