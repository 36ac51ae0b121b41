import { type MoveResult } from "../../contract/move.ts";
import { type IslandName, moveWorkflowId, REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { type WriteBlock } from "../../contract/progress.ts";
import { type DoneItem, type FailedMove, type RebalanceOutcome } from "../../contract/rebalance.ts";

/** The result of a rebalance. */
export interface RebalanceResult {
  workflowId: string;
  runId: string;
  moves: Omit<MoveResult, "leftover" | "sizeBytes">[];
  failed: FailedMove[];
  /** Number of moves of the plan that were left out, because one rebalance makes at most ten thousand. */
  remaining: number;
}

/** What a rebalance keeps of it unless it was one exact attempt. */
function writeBlockOf({ writeBlockedMs, blocked }: Pick<DoneItem, "writeBlockedMs" | "blocked">): WriteBlock {
  const [attempts, totalMs, atMost] = blocked ?? [1, writeBlockedMs, 0];
  return { attempts, longestMs: writeBlockedMs, totalMs, atMost: atMost === 1 };
}

/** Turns the workflow's own result, which is kept small, into one that is complete by itself. */
export function readOutcome(
  runId: string,
  { islands, activated, done, failed, remaining = 0 }: RebalanceOutcome,
): RebalanceResult {
  const nameOf = (island: IslandName | number): IslandName =>
    typeof island === "number" ? islands[island]! : island;
  const moves = done.map(({ schema, from, to, runId: run, rows, copied, durationMs, ...item }) => ({
    workflowId: moveWorkflowId(schema),
    runId: run,
    schema,
    from: nameOf(from),
    to: nameOf(to),
    activated,
    rows,
    bytes: copied,
    copiedBytes: copied,
    walKeptBytes: item.wal ?? 0,
    durationMs,
    writeBlockedMs: item.writeBlockedMs,
    writeBlocked: writeBlockOf(item),
    endedBlockers: item.ended ?? [],
    verified: item.verified ? { tables: item.verified[0], rows: item.verified[1], unsettled: [] } : null,
  }));
  const failures = failed.map(({ schema, from, to, reason }) => ({
    schema,
    from: nameOf(from),
    to: nameOf(to),
    reason,
  }));
  return { workflowId: REBALANCE_WORKFLOW_ID, runId, moves, failed: failures, remaining };
}
