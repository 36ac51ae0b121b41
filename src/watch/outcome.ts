import { messageOf, ShardferryError } from "../errors.ts";

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

/** What a worker throws that cannot connect; it has no code. */
const NO_TRANSPORT = /^tonic::transport/;

/** Says what to do when Temporal has gone in the middle of a command; any other error is answered as it is. */
export function explainGone(error: unknown): unknown {
  if (error instanceof ShardferryError || !(isPassing(error) || NO_TRANSPORT.test(messageOf(error))))
    return error;
  const why = (error as Error).cause instanceof Error ? (error as Error).cause : error;
  return new ShardferryError(
    "temporal_unreachable",
    `Temporal does not answer any more (${messageOf(why)}). What was started goes on when it is back: run the same ` +
      "command again, which starts the embedded server, too, and shows how far it is",
    { cause: error },
  );
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
