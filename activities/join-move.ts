import { Context } from "@temporalio/activity";
import type { Client, WorkflowExecutionDescription, WorkflowHandle } from "@temporalio/client";

import { type JoinInput, type MoveInput, type MoveResult } from "../contract/move.ts";
import { REQUEST_MEMO } from "../contract/names.ts";
import { messageOf, ShardferryError } from "../src/errors.ts";
import { isPassing, outcomeOfError } from "../src/watch/outcome.ts";
import { pause } from "./attempt/poll.ts";

/** Milliseconds between two looks at the move. */
const LOOK_EVERY_MS = 1000;

/** Waits for the end of a move that is not a child of the waiting run, and returns its result. */
export async function joinMove({ workflowId, runId, request }: JoinInput): Promise<MoveResult> {
  const context = Context.current();
  const handle = handleOf(context.client, workflowId, runId);
  for (;;) {
    const description = await look(handle);
    if (description) {
      context.heartbeat({ note: `waiting for the end of ${workflowId}` });
      if (runId === null) refuseOther(description, request);
      if (description.status.name !== "RUNNING") return resultOf(handle);
    }
    await pause(LOOK_EVERY_MS);
  }
}

const handleOf = (client: Client, workflowId: string, runId: string | null): WorkflowHandle =>
  client.workflow.getHandle(workflowId, runId ?? undefined);

/** Null while Temporal does not respond. */
async function look(handle: WorkflowHandle): Promise<WorkflowExecutionDescription | null> {
  try {
    return await handle.describe();
  } catch (error) {
    if (isPassing(error)) return null;
    throw error;
  }
}

/** Refuses a move of the same shard to another island, or a mere rehearsal: it is not the move that was planned. */
function refuseOther({ workflowId, startTime, memo }: WorkflowExecutionDescription, asked: MoveInput): void {
  const { from, to, activateOnDestination } = (memo?.[REQUEST_MEMO] ?? {}) as Partial<MoveInput>;
  if (from === asked.from && to === asked.to && activateOnDestination === asked.activateOnDestination) return;
  const what = activateOnDestination === false ? "is rehearsing a move" : "is moving the shard";
  const text = `${workflowId}, which has been running since ${startTime.toISOString()}, ${what} from ${from} to ${to}: let it finish, then rebalance again`;
  throw new ShardferryError("busy", text);
}

async function resultOf(handle: WorkflowHandle): Promise<MoveResult> {
  try {
    return (await handle.result()) as MoveResult;
  } catch (error) {
    const outcome = outcomeOfError(error);
    if (outcome.kind === "done") throw error;
    const code = outcome.kind === "failed" ? outcome.code : "aborted";
    throw new ShardferryError(code, outcome.message || messageOf(error), { cause: error });
  }
}
