import { isDeepStrictEqual } from "node:util";

import type { WorkflowHandle } from "@temporalio/client";

import { REQUEST_MEMO, TASK_QUEUE } from "../../contract/names.ts";
import { type RebalanceOutcome } from "../../contract/rebalance.ts";
import { flagFor } from "../config/flags.ts";
import { ShardferryError } from "../errors.ts";
import { workflowSummary } from "../summary.ts";
import type { Temporal } from "../temporal/connection.ts";
import { readOutcome } from "./rebalance-result.ts";
import { Watch } from "./watch.ts";

/** The running or the last workflow with an id, and its request. */
export interface Running {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly startTime: Date;
  readonly request: Record<string, unknown>;
  /** Null while it is running. */
  readonly endedAt: Date | null;
  /** True if it has succeeded. */
  readonly completed: boolean;
}

/** A running workflow holds what another request needs. */
export class BusyError extends ShardferryError {
  constructor(running: Running, differences: readonly string[]) {
    const { workflowId, startTime } = running;
    super(
      "busy",
      `${workflowId} has been running since ${startTime.toISOString()} with a different request (${differences.join("; ")}). ` +
        `See it with \`shardferry attach ${workflowId}\`, or end it with \`shardferry abort ${workflowId}\``,
    );
  }
}

/** Returns a workflow if it is running, else null. */
export async function findRunning(temporal: Temporal, workflowId: string): Promise<Running | null> {
  const last = await findLast(temporal, workflowId);
  return last?.endedAt === null ? last : null;
}

/** Returns the last workflow with an id; null if Temporal knows of none, or no longer does. */
export async function findLast(temporal: Temporal, workflowId: string): Promise<Running | null> {
  const description = await temporal.client.workflow
    .getHandle(workflowId)
    .describe()
    .catch((error: unknown) => {
      if ((error as Error).name === "WorkflowNotFoundError") return null;
      throw error;
    });
  if (!description) return null;
  const { runId, type, startTime, memo, status } = description;
  const request = (memo?.[REQUEST_MEMO] ?? {}) as Record<string, unknown>;
  const endedAt = status.name === "RUNNING" ? null : (description.closeTime ?? startTime);
  return { workflowId, runId, type, startTime, request, endedAt, completed: status.name === "COMPLETED" };
}

/** Attaches to a running workflow if its request is the same; throws a BusyError otherwise. */
export function attachIfSame<T>(temporal: Temporal, running: Running, request: object): Watch<T> {
  const differences = differencesOf(running, request);
  if (differences.length > 0) throw new BusyError(running, differences);
  return watchRunning(temporal, running);
}

/** Describes how a request differs from that of a workflow. */
export function differencesOf(running: Running, request: object): string[] {
  const asked = JSON.parse(JSON.stringify(request)) as Record<string, unknown>;
  const keys = new Set([...Object.keys(asked), ...Object.keys(running.request)]);
  return [...keys]
    .filter((key) => !isDeepStrictEqual(asked[key], running.request[key]))
    .map((key) => `${flagFor(key)} is ${shown(running.request[key])} there, ${shown(asked[key])} here`);
}

const shown = (value: unknown): string =>
  value === null || value === undefined ? "not given" : JSON.stringify(value);

/** Watches a workflow that is already running, or shows the outcome of one that has ended. */
export function watchRunning<T>(temporal: Temporal, { workflowId, runId, type, endedAt }: Running): Watch<T> {
  const { workflow } = temporal.client;
  // A rebalance continues as new: its latest run is shown and steered; its result is that of the chain.
  const handle: WorkflowHandle =
    type === "rebalance"
      ? workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId })
      : workflow.getHandle(workflowId, runId);
  return new Watch<T>(temporal, handle, runId, true, readerOf<T>(type), endedAt);
}

/** Returns the function that turns the result of a workflow into that of its operation. */
const readerOf =
  <T>(type: string): ((raw: unknown, runId: string) => T) =>
  (raw, runId) =>
    (type === "rebalance" ? readOutcome(runId, raw as RebalanceOutcome) : raw) as T;

/**
 * Starts a workflow, or attaches to the one that somebody started with the same request a moment ago.
 *
 * @param memo identifies the request: without who has started it, and without what is too long for a memo.
 */
export async function start<T>(
  temporal: Temporal,
  type: string,
  workflowId: string,
  request: object,
  memo: object,
): Promise<Watch<T>> {
  for (;;) {
    try {
      const handle = await temporal.client.workflow.start(type, {
        workflowId,
        taskQueue: TASK_QUEUE,
        args: [request],
        memo: { [REQUEST_MEMO]: memo },
        ...workflowSummary(workflowId, request),
        workflowIdConflictPolicy: "FAIL",
        workflowIdReusePolicy: "ALLOW_DUPLICATE",
      });
      return new Watch<T>(temporal, handle, handle.firstExecutionRunId, false, readerOf<T>(type));
    } catch (error) {
      if ((error as Error).name !== "WorkflowExecutionAlreadyStartedError") throw error;
      const running = await findRunning(temporal, workflowId);
      if (running) return attachIfSame(temporal, running, memo);
    }
  }
}
