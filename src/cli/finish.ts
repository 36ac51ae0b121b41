import { ShardferryError } from "../errors.ts";
import { AbortedError } from "../errors.ts";
import type { Outcome } from "../watch/outcome.ts";

/** The result of what has ended; aborted and failed ones are errors of the command. */
export function resultOf<T>(outcome: Outcome<T>, workflowId: string): T {
  if (outcome.kind === "done") return outcome.result;
  if (outcome.kind === "aborted") throw new AbortedError(`${workflowId} was ${outcome.message}`);
  throw new ShardferryError(outcome.code, `${workflowId} failed: ${outcome.message}`);
}
