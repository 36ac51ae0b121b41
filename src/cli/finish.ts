import { AbortedError, ShardferryError } from "../errors.ts";
import type { Outcome } from "../watch/outcome.ts";

/** Returns the result of a workflow that has ended; throws if it was aborted or failed. */
export function resultOf<T>(outcome: Outcome<T>, workflowId: string): T {
  if (outcome.kind === "done") return outcome.result;
  if (outcome.kind === "aborted") throw new AbortedError(`${workflowId} was ${outcome.message}`);
  throw new ShardferryError(outcome.code, `${workflowId} failed: ${outcome.message}`);
}
