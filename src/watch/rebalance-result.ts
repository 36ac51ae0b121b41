import { type MoveResult } from "../../contract/move.ts";
import { moveWorkflowId, REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { type FailedMove, type RebalanceOutcome } from "../../contract/rebalance.ts";

/** The result of a rebalance. */
export interface RebalanceResult {
  workflowId: string;
  runId: string;
  moves: Omit<MoveResult, "leftover">[];
  failed: FailedMove[];
  /** Number of moves of the plan that were left out, because one rebalance makes at most ten thousand. */
  remaining: number;
}

/** Expands the workflow's own result, which is kept small, into a self-contained one. */
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
