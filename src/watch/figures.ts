import type { RebalanceProgress } from "../../contract/rebalance.ts";
import { effortOf, percentOf } from "../../workflows/work.ts";
import type { Snapshot } from "./snapshot.ts";

/** How far a move or copy is. What is not known is null, never 0. */
export interface Figures {
  readonly percent: number | null;
  readonly secondsLeft: number | null;
  /** What the shard takes on the source's disk. */
  readonly sizeBytes: number | null;
  /** Bytes of the COPY streams. */
  readonly copiedBytes: number | null;
  readonly rows: number | null;
  /** The planner's estimate. */
  readonly rowsTotal: number | null;
  readonly bytesPerSec: number | null;
  /** WAL that the source keeps for it. */
  readonly walKeptBytes: number | null;
}

/** Returns the numbers of a move, copy or migration: those of the running step, or of the workflow between two steps. */
export function figuresOf({ progress, activities, walKeptBytes }: Snapshot): Figures {
  const details = activities.find((activity) => activity.details?.reached)?.details;
  const reached = details?.reached;
  const known = [progress?.percent, reached?.percent].filter((percent) => percent !== undefined);
  return {
    percent: known.length === 0 ? null : Math.max(...known),
    secondsLeft: reached?.secondsLeft ?? null,
    sizeBytes: progress?.sizeBytes ?? null,
    copiedBytes: reached?.copiedBytes ?? progress?.copiedBytes ?? null,
    rows: reached?.rows ?? progress?.rows ?? null,
    rowsTotal: progress?.rowsTotal ?? null,
    bytesPerSec: details?.bytesPerSec ?? null,
    walKeptBytes,
  };
}

/** Returns how far a rebalance is: with the running moves, as far as there are snapshots of them. */
export function reachedBy(
  progress: RebalanceProgress,
  moves: readonly Snapshot[],
): { percent: number; secondsLeft: number | null } {
  const { effort, effortDone, running, startedAt, pausedSince, pausedMs } = progress;
  const looks = new Map(moves.map((move) => [move.workflowId, figuresOf(move).percent ?? 0]));
  const underWay = running.reduce((sum, { workflowId, bytes, percent = 0 }) => {
    const share = Math.max(looks.get(workflowId) ?? 0, percent) / 100;
    return sum + share * effortOf({ bytes });
  }, 0);
  // The workflow of an earlier version does not tell its effort.
  const now = effort ? percentOf((effortDone! + underWay) / effort) : 0;
  const percent = Math.max(progress.percent, now);
  const elapsed = Date.now() - startedAt - pausedMs;
  const known = percent > 0 && pausedSince === null;
  return {
    percent,
    secondsLeft: known ? Math.round((elapsed * (100 - percent)) / percent / 1000) : null,
  };
}
