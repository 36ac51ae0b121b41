import type { MoveResult } from "../contract/move.ts";
import type { WriteBlock } from "../contract/progress.ts";
import type { DoneItem, RebalanceItem } from "../contract/rebalance.ts";

/** What a rebalance keeps of the result of a move. What is the same for most moves is left out. */
export function doneItem({ schema, from, to }: RebalanceItem, result: MoveResult): DoneItem {
  const { runId, rows, bytes: copied, durationMs, writeBlockedMs, writeBlocked, verified } = result;
  return {
    schema,
    from,
    to,
    runId,
    rows,
    copied,
    durationMs,
    writeBlockedMs,
    ...blockedBriefly(writeBlocked),
    ...verifiedBriefly(verified),
    ...walBriefly(result),
  };
}

/** What was compared; missing for a move that older code began. */
const verifiedBriefly = (verified: MoveResult["verified"] | undefined): Pick<DoneItem, "verified"> =>
  verified ? { verified: [verified.tables, verified.rows] } : {};

/** Left out for one exact attempt, which is what most moves have; missing in results of an earlier version. */
function blockedBriefly(told: WriteBlock | undefined): Pick<DoneItem, "blocked"> {
  if (!told || (told.attempts === 1 && !told.atMost)) return {};
  return { blocked: [told.attempts, told.totalMs, told.atMost ? 1 : 0] };
}

/** Left out if none was noticed; missing in results of an earlier version. */
const walBriefly = ({ walKeptBytes }: Partial<MoveResult>): Pick<DoneItem, "wal"> =>
  walKeptBytes ? { wal: walKeptBytes } : {};
