import { REBALANCE_WORKFLOW_ID } from "../../workflows/rebalancing.ts";
import { ShardferryError, UsageError } from "../errors.ts";
import type { Temporal } from "../temporal/connection.ts";
import { type Snapshot, takeSnapshot } from "../temporal/snapshot.ts";
import { findLast, findRunning, type Running, watchRunning } from "./start.ts";
import type { Watch } from "./watch.ts";

/** The workflows that an operator sees and steers. */
const TYPES = ["move", "copy", "rebalance", "migrate"];
const RUNNING = `ExecutionStatus = 'Running' AND WorkflowType IN (${TYPES.map((type) => `'${type}'`).join(", ")})`;

/** Tells what runs, and how far it is. */
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

/** Watches a workflow that runs, or shows what became of one that has ended; without an id the only one that runs. */
export async function attach(temporal: Temporal, workflowId?: string): Promise<Watch<unknown>> {
  const last = workflowId === undefined ? null : await findLast(temporal, workflowId);
  return last ? watchRunning(temporal, last) : attachRunning(temporal, workflowId);
}

/** Watches a workflow that runs, to steer it; without an id the only one. */
export async function attachRunning(temporal: Temporal, workflowId?: string): Promise<Watch<unknown>> {
  return watchRunning(temporal, await requireRunning(temporal, workflowId ?? (await onlyRunning(temporal))));
}

async function runningIds(temporal: Temporal, skip?: (parent: string | null) => boolean): Promise<string[]> {
  const ids: string[] = [];
  for await (const { workflowId, parentExecution } of temporal.client.workflow.list({ query: RUNNING })) {
    if (!skip?.(parentExecution?.workflowId ?? null)) ids.push(workflowId);
  }
  return ids.sort();
}

/** Where several run, a rebalance stands for the moves that it has started. */
async function onlyRunning(temporal: Temporal): Promise<string> {
  const rebalance = await findRunning(temporal, REBALANCE_WORKFLOW_ID);
  const ids = await runningIds(temporal, (parent) => rebalance !== null && parent === REBALANCE_WORKFLOW_ID);
  if (ids.length === 1) return ids[0]!;
  if (ids.length === 0) throw new ShardferryError("nothing_runs", "Nothing runs.");
  throw new UsageError(`Several workflows run; name one of ${ids.join(", ")}.`);
}

async function requireRunning(temporal: Temporal, workflowId: string): Promise<Running> {
  const running = await findRunning(temporal, workflowId);
  if (running) return running;
  const ids = await runningIds(temporal);
  throw new UsageError(
    `No workflow "${workflowId}" runs. ${ids.length > 0 ? `These do: ${ids.join(", ")}.` : "Nothing runs."}`,
  );
}
