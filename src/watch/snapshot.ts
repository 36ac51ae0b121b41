import { setTimeout as sleep } from "node:timers/promises";

import type { Client, WorkflowExecutionDescription, WorkflowHandle } from "@temporalio/client";

import type { Activities } from "../../contract/move.ts";
import { REQUEST_MEMO } from "../../contract/names.ts";
import { type StepProgress } from "../../contract/progress.ts";
import { type Progress, type StepName } from "../../contract/story.ts";
import type { WayBackActivities } from "../../contract/way-back.ts";
import { linkTo, type Temporal } from "../temporal/connection.ts";

/** The state of a workflow at one moment. */
export interface Snapshot {
  readonly workflowId: string;
  readonly runId: string;
  /** `move`, `copy` and so on. */
  readonly type: string;
  readonly running: boolean;
  /** Number of events in its history. While that does not grow, its story is the same. */
  readonly historyLength: number;
  /** The request that it was started with. */
  readonly request: Readonly<Record<string, unknown>>;
  /** The workflow's own story; null while no worker answers. */
  readonly progress: Progress | null;
  readonly activities: readonly ActivitySnapshot[];
  /** The WAL that the source keeps for a move or copy, which an activity watches alongside the steps; null if that is not known. */
  readonly walKeptBytes: number | null;
  /** The task queue of a task that has been waiting for a worker for seconds, if any. */
  readonly idleQueue: string | null;
  /** True on the embedded server, whose work the commands themselves do. */
  readonly embedded: boolean;
  /** When it ended, in milliseconds since the epoch; null while it is running. */
  readonly endedAt: number | null;
  /** Where Temporal's page shows it; null if that is not known. */
  readonly link: string | null;
}

/** A running step. */
interface ActivitySnapshot {
  readonly step: StepName | typeof WATCH | typeof WATCH_OF_WAY_BACK;
  /** False while it waits for a worker or for its next attempt. */
  readonly running: boolean;
  readonly attempt: number;
  readonly details: StepProgress | null;
  /** Why the last attempt failed. */
  readonly failure: string | null;
}

/** What runs alongside the steps, by its name in the history. */
const WATCH = "watch WAL" satisfies keyof Activities;
/** What a way back does as long as it is open; also tells how much WAL is kept. */
const WATCH_OF_WAY_BACK = "watch way back" satisfies keyof WayBackActivities;

/** The name of the query that every workflow answers. */
const PROGRESS_QUERY = "progress";
const QUERY_TIMEOUT_MS = 2000;
/** Longer, as the last snapshot cannot be repeated, and a worker may have to replay the workflow first. */
const LAST_QUERY_TIMEOUT_MS = 6000;
const SHORT_QUERY_MS = 200;
/** Without this deadline, the client tries for half a minute to reach a server that is gone. */
const DESCRIBE_TIMEOUT_MS = 3000;
/** If a task waits this long, no worker is running. */
const IDLE_AFTER_MS = 2500;
/** PENDING_ACTIVITY_STATE_SCHEDULED and PENDING_WORKFLOW_TASK_STATE_SCHEDULED: waiting for a worker. */
const SCHEDULED = 1;

/**
 * Takes a snapshot of a workflow without adding to its history. A query that no worker answers in time is left out.
 * A query takes time of the worker that the workflow's own steps could use, so none is sent if nothing has happened
 * since the `last` snapshot.
 */
export async function takeSnapshot(
  temporal: Temporal,
  handle: WorkflowHandle,
  last: Snapshot | null = null,
): Promise<Snapshot> {
  const description = await temporal.client.connection.withDeadline(Date.now() + DESCRIBE_TIMEOUT_MS, () =>
    handle.describe(),
  );
  const { runId, historyLength } = description;
  const same = last?.runId === runId && last.historyLength === historyLength ? last.progress : null;
  const running = description.status.name === "RUNNING";
  const timeout = running ? QUERY_TIMEOUT_MS : LAST_QUERY_TIMEOUT_MS;
  const asking = same ? Promise.resolve(same) : queryProgress(temporal.client, handle, timeout);
  temporal.settleBeforeClose(asking);
  const pending = await Promise.all((description.raw.pendingActivities ?? []).map(readActivity));
  const steps = pending.filter(({ step }) => step !== WATCH);
  const watch = pending.find(({ step }) => step === WATCH || step === WATCH_OF_WAY_BACK);
  // An activity that waits for its next attempt has no numbers, but a reason.
  const failing = watch?.step === WATCH && watch.failure != null && !watch.running;
  const waiting = waitingTask(description);
  // If tasks wait for a worker, there may be none to answer the query.
  const progress = await (waiting ? Promise.race([asking, sleep(SHORT_QUERY_MS, null)]) : asking);
  return {
    workflowId: description.workflowId,
    runId,
    historyLength,
    type: description.type,
    running,
    request: (description.memo?.[REQUEST_MEMO] ?? {}) as Record<string, unknown>,
    progress,
    activities: failing ? [...steps, watch] : steps,
    walKeptBytes: failing ? null : (watch?.details?.walKeptBytes ?? null),
    idleQueue: waiting && waiting.ms > IDLE_AFTER_MS ? waiting.queue : null,
    embedded: temporal.target.embedded !== null,
    endedAt: description.closeTime?.getTime() ?? null,
    link: linkTo(temporal.target, description.workflowId, runId),
  };
}

async function queryProgress(
  client: Client,
  handle: WorkflowHandle,
  timeout: number,
): Promise<Progress | null> {
  try {
    return await client.connection.withDeadline(Date.now() + timeout, () =>
      handle.query<Progress>(PROGRESS_QUERY),
    );
  } catch {
    return null;
  }
}

type PendingActivity = NonNullable<WorkflowExecutionDescription["raw"]["pendingActivities"]>[number];

async function readActivity(activity: PendingActivity): Promise<ActivitySnapshot> {
  const { defaultPayloadConverter } = await import("../temporal/sdk.ts");
  const payload = activity.heartbeatDetails?.payloads?.[0];
  let failure = activity.lastFailure;
  while (failure?.cause) failure = failure.cause;
  return {
    step: (activity.activityType?.name ?? "") as StepName,
    running: Number(activity.state) !== SCHEDULED,
    attempt: activity.attempt ?? 1,
    details: payload ? defaultPayloadConverter.fromPayload<StepProgress>(payload) : null,
    failure: failure?.message ?? null,
  };
}

interface Timestamp {
  seconds?: { toNumber(): number } | number | null;
}

const millis = (time: Timestamp | null | undefined): number => {
  const seconds = time?.seconds;
  return 1000 * (typeof seconds === "number" ? seconds : (seconds?.toNumber() ?? Number.NaN));
};

/** A task that waits for a worker, and how long it has been waiting. */
interface Waiting {
  queue: string;
  ms: number;
}

function waitingTask({ raw, taskQueue }: WorkflowExecutionDescription): Waiting | null {
  const age = (time: Timestamp | null | undefined): number => Date.now() - millis(time);
  const task = raw.pendingWorkflowTask;
  if (task && Number(task.state) === SCHEDULED) return { queue: taskQueue, ms: age(task.scheduledTime) };
  for (const activity of raw.pendingActivities ?? []) {
    // Between two attempts, an activity is scheduled as well, but for a later time.
    const ms = age(activity.nextAttemptScheduleTime ?? activity.scheduledTime);
    const queue = activity.activityOptions?.taskQueue?.name ?? taskQueue;
    if (Number(activity.state) === SCHEDULED && ms > 0) return { queue, ms };
  }
  return null;
}
