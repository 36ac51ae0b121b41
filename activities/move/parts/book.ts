import { apiSchemaOf } from "../../../src/postgres/api/sql-api.ts";
import { hasArrived, type LeftEntry, readLeft, type SwitchKey } from "../../../src/postgres/api/switches.ts";
import type { MoveStep } from "./step.ts";

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

/** True when the source has let go of the shard: from then on the way leads forward only. */
export const hasLeft = async (step: MoveStep): Promise<boolean> => (await lookAtSource(step)) !== null;

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
