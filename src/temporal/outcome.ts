import { messageOf } from "../errors.ts";

/** How a workflow ended. */
export type Outcome<T> =
  | { readonly kind: "done"; readonly result: T }
  | { readonly kind: "aborted"; readonly message: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

interface FailureLike extends Error {
  cause?: unknown;
  /** Of an ApplicationFailure: the code of the error that the step threw. */
  type?: string | null;
}

/** The gRPC codes of a server that is not there for now: it restarts, or the network is cut. */
const PASSING_CODES = new Set([1, 2, 4, 8, 13, 14]);

/** True for an error of the connection to Temporal, after which the same call may succeed. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code ?? (error.cause as { code?: unknown } | undefined)?.code;
  return typeof code === "number" && PASSING_CODES.has(code);
}

/** Reads from the error of a workflow's handle how the workflow ended: the root cause counts, not its wrappings. */
export function outcomeOfError(error: unknown): Outcome<never> {
  const chain: FailureLike[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) chain.push(at);
  const [outer, first] = chain;
  if (outer?.name !== "WorkflowFailedError" || !first) throw error;
  if (first.name === "CancelledFailure") return { kind: "aborted", message: first.message };
  const root = chain.at(-1)!;
  if (first.name === "TerminatedFailure") {
    const how = "it was terminated from outside, so nothing was cleaned up: `shardferry cleanup` does that";
    return { kind: "failed", code: "terminated", message: `${how} (${messageOf(root)})` };
  }
  return { kind: "failed", code: root.type || "failed", message: messageOf(root) };
}
