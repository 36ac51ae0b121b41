import { REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { ShardferryError, UsageError } from "../errors.ts";
import type { Temporal } from "../temporal/connection.ts";
import { rebalanceProgress } from "../watch/rebalance-progress.ts";
import { type Snapshot, takeSnapshot } from "../watch/snapshot.ts";
import { findLast, findRunning, type Running, watchRunning } from "../watch/start.ts";
import type { SteeringSignal, Watch } from "../watch/watch.ts";

/** The workflows that an operator sees and steers. */
const TYPES = ["move", "copy", "rebalance", "migrate", "verify", "rollback", "wayBack"];
const RUNNING = `ExecutionStatus = 'Running' AND WorkflowType IN (${TYPES.map((type) => `'${type}'`).join(", ")})`;

/** Returns the running workflows and their progress. */
export async function status(temporal: Temporal, workflowId?: string): Promise<Snapshot[]> {
  const ids =
    workflowId === undefined
      ? await runningIds(temporal)
      : [(await requireRunning(temporal, workflowId)).workflowId];
  const snapshots = await Promise.all(
    ids.map((id) => takeSnapshot(temporal, temporal.client.workflow.getHandle(id))),
  );
  return snapshots.filter(({ running }) => running).sort((a, b) => (a.workflowId < b.workflowId ? -1 : 1));
}

/** Watches a running workflow, or shows the outcome of one that has ended; without an id, the only running one. */
export async function attach(temporal: Temporal, workflowId?: string): Promise<Watch<unknown>> {
  const last = workflowId === undefined ? null : await findLast(temporal, workflowId);
  return last ? watchRunning(temporal, last) : attachRunning(temporal, workflowId);
}

/** The error if nothing can be steered or watched because nothing is running. */
export function nothingRuns(what: SteeringSignal | "attach", workflowId?: string): ShardferryError {
  if (workflowId !== undefined)
    return new UsageError(`No workflow "${workflowId}" is running. Nothing is running.`);
  return new ShardferryError(
    "nothing_runs",
    what === "pause" ? "No rebalance is running." : "Nothing is running.",
  );
}

/** Watches a running workflow; without an id, the only one. */
async function attachRunning(temporal: Temporal, workflowId?: string): Promise<Watch<unknown>> {
  return watchRunning(temporal, await requireRunning(temporal, workflowId ?? (await onlyRunning(temporal))));
}

/** The signal would change nothing. */
class NoEffectError extends ShardferryError {
  constructor(message: string) {
    super("no_effect", message);
  }
}

/**
 * Sends a signal to a running workflow, and returns it; without an id, to the only one (`pause`: to the rebalance).
 * Throws a UsageError if the workflow cannot obey it, and an error with code `no_effect` if it would change nothing.
 */
export async function steer(
  temporal: Temporal,
  signal: SteeringSignal,
  workflowId?: string,
): Promise<Watch<unknown>> {
  const wanted =
    workflowId ?? (signal === "pause" ? await runningRebalance(temporal) : await onlyRunning(temporal));
  const running = await requireRunning(temporal, wanted);
  await refuseWithoutEffect(temporal, signal, running);
  const watch = watchRunning(temporal, running);
  await watch.signal(signal);
  return watch;
}

async function refuseWithoutEffect(
  temporal: Temporal,
  signal: SteeringSignal,
  running: Running,
): Promise<void> {
  const { workflowId, type, request } = running;
  if (type === "rebalance") return refuseRebalance(temporal, signal, running);
  if (signal === "pause") {
    const hint = "A move or copy that was started with --wait pauses before its last step";
    throw new UsageError(`${workflowId} cannot be paused: only a rebalance can. ${hint}.`);
  }
  if (type === "migrate" && signal !== "abort")
    throw new NoEffectError(
      `${workflowId} is a migration: it waits for no confirmation and no replication lag.`,
    );
  if (signal === "confirm" && request["wait"] === false && !(await differs(temporal, workflowId)))
    throw new NoEffectError(`${workflowId} was started without --wait: nothing waits for a confirmation.`);
}

/** True if a move stands still because rows differ, or if no worker answers. */
async function differs(temporal: Temporal, workflowId: string): Promise<boolean> {
  const { progress } = await takeSnapshot(temporal, temporal.client.workflow.getHandle(workflowId));
  return progress === null || progress.differs !== undefined;
}

/** If no worker answers, nothing is known about the workflow, and the signal is sent. */
async function refuseRebalance(temporal: Temporal, signal: SteeringSignal, running: Running): Promise<void> {
  const { workflowId, request } = running;
  const handle = temporal.client.workflow.getHandle(workflowId);
  const progress = signal === "abort" ? null : rebalanceProgress(await takeSnapshot(temporal, handle));
  if (!progress) return;
  const { phase, total, done, failed } = progress;
  if (signal === "pause" && phase !== "paused" && done + failed + progress.running.length === total)
    throw new NoEffectError(`Every move of ${workflowId} has started: there is nothing left to pause.`);
  if (signal === "confirm" && phase !== "paused" && request["wait"] === false)
    throw new NoEffectError(
      `${workflowId} was started without --wait and is not paused: nothing waits for a confirmation.`,
    );
  if (signal === "skipLag" && progress.running.length === 0)
    throw new NoEffectError(`No move of ${workflowId} is running: nothing waits for replication lag.`);
}

/** Returns the ids of the running workflows; `skip` gets the id of a workflow's parent. */
export async function runningIds(
  temporal: Temporal,
  skip?: (parent: string | null, type: string) => boolean,
): Promise<string[]> {
  const ids: string[] = [];
  for await (const { workflowId, type, parentExecution } of temporal.client.workflow.list({
    query: RUNNING,
  })) {
    if (!skip?.(parentExecution?.workflowId ?? null, type)) ids.push(workflowId);
  }
  return ids.sort();
}

/** If several are running, a rebalance stands for the moves that it has started. An open way back is no work to look at. */
async function onlyRunning(temporal: Temporal): Promise<string> {
  const rebalance = await findRunning(temporal, REBALANCE_WORKFLOW_ID);
  const ids = await runningIds(
    temporal,
    (parent, type) => type === "wayBack" || (rebalance !== null && parent === REBALANCE_WORKFLOW_ID),
  );
  if (ids.length === 1) return ids[0]!;
  if (ids.length === 0) throw nothingRuns("attach");
  throw new UsageError(`Several workflows are running; name one of them: ${ids.join(", ")}.`);
}

async function runningRebalance(temporal: Temporal): Promise<string> {
  if (await findRunning(temporal, REBALANCE_WORKFLOW_ID)) return REBALANCE_WORKFLOW_ID;
  throw nothingRuns("pause");
}

async function requireRunning(temporal: Temporal, workflowId: string): Promise<Running> {
  const running = await findRunning(temporal, workflowId);
  if (running) return running;
  const ids = await runningIds(temporal);
  if (ids.length === 0) throw nothingRuns("attach", workflowId);
  throw new UsageError(`No workflow "${workflowId}" is running. The running ones are: ${ids.join(", ")}.`);
}
