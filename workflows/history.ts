import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  patched,
  workflowInfo,
} from "@temporalio/workflow";

import type { HistoryKind, HistoryLine } from "../contract/history.ts";
import { quick } from "./proxies.ts";
import type { Steering } from "./steering.ts";

/** What an operation is, whatever becomes of it. */
export interface Operation extends Pick<HistoryLine, "name" | "schemas" | "islands" | "from" | "to"> {
  kind: HistoryKind;
  startedBy: string | undefined;
}

/** What has become of it; figures that are left out are not known. */
export type Ending = Pick<HistoryLine, "outcome"> &
  Partial<
    Pick<HistoryLine, "sizeBytes" | "copiedBytes" | "rows" | "writeBlocked" | "verified"> &
      Pick<HistoryLine, "reason">
  >;

/** Runs an operation and writes down how it has ended, on all its islands, where no cancellation reaches. */
export async function recorded<T>(
  steering: Steering,
  operation: Operation,
  run: () => Promise<T>,
  endingOf: (result: T) => Ending,
): Promise<T> {
  let result: T;
  try {
    result = await run();
  } catch (error) {
    await record(steering, operation, { ...steering.figures, ...failureOf(error) });
    throw error;
  }
  await record(steering, operation, endingOf(result));
  return result;
}

/** Writes down how an operation has ended. */
export async function record(steering: Steering, operation: Operation, ending: Ending): Promise<void> {
  // Runs that began before there was a history have no such step in theirs.
  if (!patched("record history")) return;
  const line: HistoryLine = {
    ...operation,
    startedBy: operation.startedBy ?? null,
    startedAt: workflowInfo().startTime.getTime(),
    endedAt: Date.now(),
    sizeBytes: null,
    copiedBytes: null,
    rows: null,
    writeBlocked: null,
    verified: null,
    reason: null,
    ...ending,
  };
  const missing = await CancellationScope.nonCancellable(() => quick["record history"](line));
  if (missing) steering.tell(missing);
}

/** Longer texts are in Temporal's history, and in the log of the command. */
const MAX_TEXT = 300;

/** Errors whose texts name rows and their values. */
const WITH_ROWS: Readonly<Record<string, string>> = { differs: "rows differ between source and destination" };

function failureOf(error: unknown): Pick<HistoryLine, "outcome" | "reason"> {
  if (isCancellation(error)) return { outcome: "aborted", reason: null };
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  const code = (root instanceof ApplicationFailure && root.type) || "failed";
  const message = root instanceof Error ? root.message : String(root);
  return { outcome: "failed", reason: { code, text: WITH_ROWS[code] ?? shortened(message) } };
}

/** The first line, in characters that databases of most encodings have. */
export function shortened(message: string): string {
  const line = message.split("\n")[0]!.replaceAll("…", "...");
  return line.length <= MAX_TEXT ? line : `${line.slice(0, MAX_TEXT)}...`;
}
