import { type MoveResult, moveWorkflowId } from "../../workflows/contract.ts";
import {
  type FailedMove,
  REBALANCE_WORKFLOW_ID,
  type RebalanceOutcome,
} from "../../workflows/rebalancing.ts";

/** What a rebalance has done. */
export interface RebalanceResult {
  workflowId: string;
  runId: string;
  moves: Omit<MoveResult, "leftover">[];
  failed: FailedMove[];
}

/** Turns the workflow's own result, which is kept small, into one that stands for itself. */
export function readOutcome(
  runId: string,
  { islands, activated, done, failed }: RebalanceOutcome,
): RebalanceResult {
  const moves = done.map(({ schema, from, to, runId: run, rows, copied, durationMs, writeBlockedMs }) => ({
    ...{ workflowId: moveWorkflowId(schema), runId: run, schema, from: islands[from]!, to: islands[to]! },
    ...{ activated, rows, bytes: copied, durationMs, writeBlockedMs },
  }));
  return { workflowId: REBALANCE_WORKFLOW_ID, runId, moves, failed };
}
