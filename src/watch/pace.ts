import type { MoveResult } from "../../contract/move.ts";
import { REQUEST_MEMO } from "../../contract/names.ts";
import type { Temporal } from "../temporal/connection.ts";

/** How long moves take, judging by those that have ended. */
export interface Pace {
  /** Number of moves on which this is based. */
  readonly moves: number;
  /** Milliseconds that a move of this size takes; null if none of nearly that size has been made. */
  msOf(bytes: number): number | null;
}

/** The number of the last moves that are looked at. */
const LAST = 20;
/** Sizes beyond this many times the largest known one say nothing. */
const BEYOND = 10;
/** Any size up to this one counts as small: the fixed part of a move takes longer. */
const SMALL_BYTES = 16 * 1024 * 1024;

/** Reads how long the last moves took; null if there were none. Those that paused for a confirmation do not count. */
export async function readPace({ client }: Temporal): Promise<Pace | null> {
  const query = "WorkflowType = 'move' AND ExecutionStatus = 'Completed'";
  const ended: Promise<MoveResult>[] = [];
  for await (const { workflowId, runId, memo } of client.workflow.list({ query, pageSize: LAST })) {
    const { wait } = (memo?.[REQUEST_MEMO] ?? {}) as { wait?: unknown };
    if (wait !== true)
      ended.push(client.workflow.getHandle(workflowId, runId).result() as Promise<MoveResult>);
    if (ended.length === LAST) break;
  }
  const results = await Promise.all(ended);
  return results.length === 0 ? null : paceOf(results);
}

/** Fits a line, a fixed time and one for each byte, to the moves (least squares). */
export function paceOf(moves: readonly Pick<MoveResult, "bytes" | "durationMs">[]): Pace {
  const meanBytes = mean(moves.map(({ bytes }) => bytes));
  const meanMs = mean(moves.map(({ durationMs }) => durationMs));
  const spread = mean(moves.map(({ bytes }) => (bytes - meanBytes) ** 2));
  const common = mean(moves.map(({ bytes, durationMs }) => (bytes - meanBytes) * (durationMs - meanMs)));
  const msPerByte = spread > 0 ? Math.max(0, common / spread) : meanMs / Math.max(meanBytes, SMALL_BYTES);
  const fixedMs = Math.max(0, meanMs - msPerByte * meanBytes);
  const largest = Math.max(SMALL_BYTES, ...moves.map(({ bytes }) => BEYOND * bytes));
  return {
    moves: moves.length,
    msOf: (bytes) => (bytes > largest ? null : Math.round(fixedMs + msPerByte * bytes)),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
