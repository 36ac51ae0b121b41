import { ShardferryError } from "../../../src/errors.ts";
import { apiSchemaOf } from "../../../src/postgres/api/sql-api.ts";
import { hasArrived, type LeftEntry, readLeft, type SwitchKey } from "../../../src/postgres/api/switches.ts";
import type { MoveStep } from "./step.ts";

/** Undoing a move whose shard has left the source would destroy the only copy that is up to date. */
export class AlreadySwitchedError extends ShardferryError {
  constructor(step: MoveStep) {
    super(
      "already_switched",
      `"${step.schema}" has left ${step.from}: its move can only be finished, not undone`,
    );
  }
}

/** How far an earlier attempt of this run has come, as read from the book of switches on both islands. */
export interface Outcome {
  left: LeftEntry | null;
  arrived: boolean;
}

const keyOf = ({ schema, attempt: { workflowId, runId } }: MoveStep): SwitchKey => ({
  schema,
  workflowId,
  runId,
});

/** Looks up on both islands what has happened, which is never assumed. */
export async function lookAtOutcome(step: MoveStep): Promise<Outcome> {
  const left = await lookAtSource(step);
  // A shard that has not left has not arrived either. So the destination, perhaps another database by now, is not asked.
  if (!left) return { left, arrived: false };
  const arrived = await step.onDestination(async (client) =>
    hasArrived(client, await apiSchemaOf(client, step.to), keyOf(step)),
  );
  return { left, arrived };
}

const lookAtSource = (step: MoveStep): Promise<LeftEntry | null> =>
  step.onSource(async (client) => readLeft(client, await apiSchemaOf(client, step.from), keyOf(step)));

/** Throws if the shard has left. Call it after the sessions of the switch are ended: until then one may be about to commit. */
export async function ensureNotLeft(step: MoveStep): Promise<void> {
  if (step.input.kind === "move" && (await lookAtSource(step)) !== null) throw new AlreadySwitchedError(step);
}
