import { messageOf, ShardferryError } from "../errors.ts";

/** How a workflow ended. */
export type Outcome<T> =
  | { readonly kind: "done"; readonly result: T }
  | { readonly kind: "aborted"; readonly message: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** What the client says of a workflow that was cancelled; it cannot know more. */
const CANCELED = "Workflow canceled";

interface FailureLike extends Error {
  cause?: unknown;
  /** For an ApplicationFailure, the code of the error that the step threw. */
  type?: string | null;
}

/** The gRPC codes of a server that is temporarily unavailable: it is restarting, or the network is down. */
const PASSING_CODES = new Set([1, 2, 4, 8, 13, 14]);

/** True for an error of the connection to Temporal, after which the same call may succeed. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code ?? (error.cause as { code?: unknown } | undefined)?.code;
  return typeof code === "number" && PASSING_CODES.has(code);
}

/** The error of a worker that cannot connect; it has no code. */
const NO_TRANSPORT = /^tonic::transport/;

/** The server's own words, which a worker wraps in others. */
const NO_NAMESPACE = /\bNamespace (?:not found: '([^']+)'|"?([^\s"]+?)"? is not found\b)/i;

/**
 * Explains what to do when Temporal becomes unreachable during a command, or does not know the namespace; returns any
 * other error unchanged.
 */
export function explainGone(error: unknown): unknown {
  const namespace = error instanceof ShardferryError ? undefined : unknownNamespace(error);
  if (namespace !== undefined)
    return new ShardferryError(
      "temporal_namespace",
      `Temporal has no namespace "${namespace}": set TEMPORAL_NAMESPACE to one that exists, or create it ` +
        `(temporal operator namespace create ${namespace})`,
      { cause: error },
    );
  if (error instanceof ShardferryError || !(isPassing(error) || NO_TRANSPORT.test(messageOf(error))))
    return error;
  const why = (error as Error).cause instanceof Error ? (error as Error).cause : error;
  return new ShardferryError(
    "temporal_unreachable",
    `Temporal no longer responds (${messageOf(why)}). The workflow continues when Temporal is back: run the same ` +
      "command again, which also starts the embedded server, to see its progress",
    { cause: error },
  );
}

function unknownNamespace(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const [, first, second] = NO_NAMESPACE.exec(at.message) ?? [];
    const name = first ?? second;
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Reads from the error of a workflow's handle how the workflow ended; the root cause counts, not its wrappers. */
export function outcomeOfError(error: unknown): Outcome<never> {
  const chain: FailureLike[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) chain.push(at);
  const [outer, first] = chain;
  if (outer?.name !== "WorkflowFailedError" || !first) throw error;
  if (first.name === "CancelledFailure")
    return { kind: "aborted", message: first.message === CANCELED ? "aborted" : first.message };
  const root = chain.at(-1)!;
  if (first.name === "TerminatedFailure") {
    const how = "it was terminated from outside, so nothing was cleaned up: run `shardferry cleanup`";
    return { kind: "failed", code: "terminated", message: `${how} (${messageOf(root)})` };
  }
  return { kind: "failed", code: root.type || "failed", message: messageOf(root) };
}
