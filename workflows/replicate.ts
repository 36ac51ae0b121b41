import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  rootCause,
} from "@temporalio/workflow";

import type { Preflight, ReplicationInput, StepInput } from "../contract/move.ts";
import { quick, waiting } from "./proxies.ts";
import type { Steering } from "./steering.ts";

/** What has to be undone, in reverse order, when a move does not reach its switch. */
export type Undo = (() => Promise<void>)[];

export interface Replica {
  step: StepInput;
  rows: number;
  bytes: number;
}

/**
 * Brings the schema up to "in step" on the destination: structure, rows, indexes, statistics, and a
 * subscription that keeps it so. Each step's way back is registered before the step, since it may have
 * done its work although its answer is lost.
 */
export async function replicate(
  kind: "move" | "copy",
  request: ReplicationInput,
  shard: number | null,
  steering: Steering,
  undo: Undo,
): Promise<Replica> {
  steering.enter("preflight");
  const plan = await quick.preflight({ kind, request, shard });
  steering.tell({ text: planned(plan) });
  for (const warning of plan.warnings) steering.tell({ text: `warning: ${warning}` });
  const step: StepInput = { kind, request, plan, fingerprint: "" };

  steering.enter("create structure");
  undo.push(async () => steering.tell(await quick["drop structure"](step)));
  const structure = await quick["create structure"](step);
  step.fingerprint = structure.fingerprint;
  steering.tell({ text: structure.text, sql: structure.sql ?? [] });

  // PostgreSQL's tablesync begins to copy with the subscription.
  if (structure.replicasBehind) await waitForLag(step, steering, false);
  steering.enter("subscribe");
  undo.push(async () => steering.tell(await quick["drop replication"](step)));
  steering.tell(await quick.subscribe(step));

  steering.enter("tablesync");
  const copied = await waiting.tablesync(step);
  steering.tell(copied);

  if (copied.replicasBehind) await waitForLag(step, steering, false);
  steering.enter("build indexes");
  steering.tell(await waiting["build indexes"](step));

  steering.enter("analyze");
  steering.tell(await waiting.analyze(step));

  await waitForLag(step, steering, true);
  return { step, rows: copied.rows, bytes: copied.bytes };
}

const planned = ({ tables, bytes, copyMethod }: Preflight): string =>
  `nothing is in the way: ${tables} tables, ${(bytes / 1e6).toFixed(1)} MB, copied by ${copyMethod === "direct" ? "one direct COPY" : "tablesync"}`;

/** Waits for the physical replicas, and before the switch for the subscription too, unless `skipLag` comes. */
export async function waitForLag(step: StepInput, steering: Steering, subscription: boolean): Promise<void> {
  steering.enter("wait for lag");
  await steering.unlessSkipped(() => waiting["wait for lag"]({ ...step, subscription }));
}

/**
 * Runs the way to the point of no return; when it fails or is aborted, undoes what was done, in reverse,
 * where no cancellation reaches. Undoing retries until the islands answer.
 */
export async function orUndo<T>(steering: Steering, forward: (undo: Undo) => Promise<T>): Promise<T> {
  const undo: Undo = [];
  try {
    return await forward(undo);
  } catch (error) {
    steering.phase("aborting");
    const leftovers = await CancellationScope.nonCancellable(() => runAll(undo.reverse()));
    // An activity that fails by itself after the request is not "a cancellation" to isCancellation.
    const aborted = steering.aborted || isCancellation(error);
    steering.phase(aborted ? "aborted" : "failed");
    if (leftovers.length > 0) {
      const reason = `${rootMessage(error)}; and not everything could be undone: ${leftovers.join("; ")}`;
      throw ApplicationFailure.create({ message: reason, type: "undo_failed", nonRetryable: true });
    }
    if (aborted) throw new CancelledFailure("aborted; the source is as it was, nothing is left behind");
    throw error;
  }
}

/** Runs every step even when one fails, and answers the reasons of those that failed. */
async function runAll(steps: Undo): Promise<string[]> {
  const failures: string[] = [];
  for (const step of steps) await step().catch((error: unknown) => failures.push(rootMessage(error)));
  return failures;
}

const rootMessage = (error: unknown): string => rootCause(error) ?? String(error);
