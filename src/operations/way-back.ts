import { setTimeout as sleep } from "node:timers/promises";

import type { MoveInput, MoveResult } from "../../contract/move.ts";
import { REQUEST_MEMO } from "../../contract/names.ts";
import {
  type FinishRequest,
  type RollbackInput,
  rollbackWorkflowId,
  type WayBackResult,
} from "../../contract/way-back.ts";
import type { Settings } from "../config/settings.ts";
import type { MoveSwitchesRequest } from "../config/switches.ts";
import { ShardferryError } from "../errors.ts";
import type { Temporal } from "../temporal/connection.ts";
import { findRunning, type Running, start, watchRunning } from "../watch/start.ts";
import type { Watch } from "../watch/watch.ts";
import { opened, type Opening } from "../worker/session.ts";
import { moveInput } from "./move.ts";
import { dsnsOf } from "./with-islands.ts";

/** The request for a rollback: the switches of a move that concern its proof and its switch. */
export interface RollbackRequest extends MoveSwitchesRequest {
  shard: number;
}

/** How long a migration waits for the ways back that it has closed. */
const LONGEST_FINISH_MS = 60_000;

class NoWayBackError extends ShardferryError {
  constructor(shard: number) {
    super(
      "no_way_back",
      `Shard ${shard} has no open way back: it was not moved with --reversible, or its way back has ended ` +
        `(\`shardferry status\` shows the open ones). To bring it back, move it.`,
    );
  }
}

/** Brings a shard back on its way back, or attaches to the rollback that does. */
export async function rollback(
  opening: Opening,
  settings: Settings,
  request: RollbackRequest,
): Promise<Watch<MoveResult>> {
  const dsns = dsnsOf(settings);
  const session = await opened(opening);
  const { temporal } = session;
  const way = await findWayBack(temporal, request.shard);
  const { schema, from, to, reversibleMaxWalBytes } = way.request as unknown as MoveInput;
  const workflowId = rollbackWorkflowId(schema);
  const running = await findRunning(temporal, workflowId);
  session.work(dsns);
  if (running) return watchRunning<MoveResult>(temporal, running);
  const input: RollbackInput = {
    ...moveInput(settings, { ...request, activateOnDestination: true }, schema, from, to),
    reversibleMaxWalBytes,
    wayBack: { workflowId: way.workflowId, runId: way.runId },
  };
  return start<MoveResult>(
    temporal,
    "rollback",
    workflowId,
    { ...input, startedBy: settings.startedBy },
    input,
  );
}

/**
 * Closes the way back of a shard, and shows how it ends. The islands are not asked: one may be down. With `force`, one that
 * does not answer is given up.
 */
export async function finish(
  opening: Opening,
  settings: Settings,
  { shard, force = false }: { shard: number; force?: boolean },
): Promise<Watch<WayBackResult>> {
  const dsns = dsnsOf(settings);
  const session = await opened(opening);
  const way = await findWayBack(session.temporal, shard);
  session.work(dsns);
  await session.temporal.client.workflow
    .getHandle(way.workflowId, way.runId)
    .signal("finish", { force } satisfies FinishRequest);
  return watchRunning<WayBackResult>(session.temporal, way);
}

/** Closes ways back, and waits for their ends, whatever these are. */
export async function finishWays(temporal: Temporal, workflowIds: readonly string[]): Promise<void> {
  const handles = workflowIds.map((id) => temporal.client.workflow.getHandle(id));
  // One that has ended by itself needs nothing.
  await Promise.allSettled(handles.map((handle) => handle.signal("finish")));
  const ended = Promise.allSettled(handles.map((handle) => handle.result()));
  // Each has returned its lease by then, even if the server of its old copy is down and still to be freed.
  await Promise.race([ended, sleep(LONGEST_FINISH_MS)]);
}

/** The open way back of a shard. While a rollback ends, there are two for a moment; the older one is about to go. */
async function findWayBack(temporal: Temporal, shard: number): Promise<Running> {
  const ids: string[] = [];
  const query = "WorkflowType = 'wayBack' AND ExecutionStatus = 'Running'";
  for await (const { workflowId, memo } of temporal.client.workflow.list({ query }))
    if ((memo?.[REQUEST_MEMO] as Partial<MoveInput> | undefined)?.shard === shard) ids.push(workflowId);
  const ways = await Promise.all(ids.map((id) => findRunning(temporal, id)));
  const [last] = ways
    .filter((way) => way !== null)
    .sort((a, b) => b.startTime.getTime() - a.startTime.getTime());
  if (!last) throw new NoWayBackError(shard);
  return last;
}
