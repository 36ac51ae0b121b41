import { type MoveResult } from "../../contract/move.ts";
import { moveWorkflowId, REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { type FailedMove, type RebalanceOutcome } from "../../contract/rebalance.ts";

/** What a rebalance has done. */
export interface RebalanceResult {
  workflowId: string;
  runId: string;
  moves: Omit<MoveResult, "leftover">[];
  failed: FailedMove[];
  /** Moves of the plan that were left out, because one rebalance makes ten thousand at most. */
  remaining: number;
}

/** Turns the workflow's own result, which is kept small, into one that stands for itself. */
export function readOutcome(
  runId: string,
  { islands, activated, done, failed, remaining = 0 }: RebalanceOutcome,
): RebalanceResult {
  const moves = done.map(({ schema, from, to, runId: run, rows, copied, durationMs, writeBlockedMs }) => ({
    workflowId: moveWorkflowId(schema),
    runId: run,
    schema,
    from: islands[from]!,
    to: islands[to]!,
    activated,
    rows,
    bytes: copied,
    durationMs,
    writeBlockedMs,
  }));
  const failures = failed.map(({ schema, from, to, reason }) => ({
    schema,
    from: islands[from]!,
    to: islands[to]!,
    reason,
  }));
  return { workflowId: REBALANCE_WORKFLOW_ID, runId, moves, failed: failures, remaining };
}
