import type { MoveInput, MoveResult } from "../../contract/move.ts";
import {
  type RollbackInput,
  rollbackWorkflowId,
  type WayBackResult,
  wayBackWorkflowId,
} from "../../contract/way-back.ts";
import type { Settings } from "../config/settings.ts";
import type { MoveSwitchesRequest } from "../config/switches.ts";
import { ShardferryError } from "../errors.ts";
import { findShard } from "../layout/where.ts";
import { withIslands } from "../postgres/islands/discover.ts";
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

class NoWayBackError extends ShardferryError {
  constructor(shard: number, schema: string) {
    super(
      "no_way_back",
      `Shard ${shard} (${schema}) has no open way back: it was not moved with --reversible, or its way back has ended ` +
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
  const { schema } = await withIslands(dsns, (islands) => findShard(islands, request.shard));
  const session = await opened(opening);
  const { temporal } = session;
  const workflowId = rollbackWorkflowId(schema);
  const running = await findRunning(temporal, workflowId);
  if (running) {
    session.work(dsns);
    return watchRunning<MoveResult>(temporal, running);
  }
  const way = await openWayBack(temporal, request.shard, schema);
  session.work(dsns);
  const { from, to, reversibleMaxWalBytes } = way.request as unknown as MoveInput;
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

/** Closes the way back of a shard, and shows how it ends. */
export async function finish(
  opening: Opening,
  settings: Settings,
  { shard }: { shard: number },
): Promise<Watch<WayBackResult>> {
  const dsns = dsnsOf(settings);
  const { schema } = await withIslands(dsns, (islands) => findShard(islands, shard));
  const session = await opened(opening);
  const way = await openWayBack(session.temporal, shard, schema);
  session.work(dsns);
  await session.temporal.client.workflow.getHandle(way.workflowId, way.runId).signal("finish");
  return watchRunning<WayBackResult>(session.temporal, way);
}

/** Closes ways back, and waits for their ends, whatever these are. */
export async function finishWays(temporal: Temporal, workflowIds: readonly string[]): Promise<void> {
  const handles = workflowIds.map((id) => temporal.client.workflow.getHandle(id));
  await Promise.all(handles.map((handle) => handle.signal("finish")));
  await Promise.allSettled(handles.map((handle) => handle.result()));
}

/** The way back of a shard. While a rollback ends, there are two for a moment; the older one is about to go. */
async function openWayBack(temporal: Temporal, shard: number, schema: string): Promise<Running> {
  const ways = await Promise.all(
    ([0, 1] as const).map((turn) => findRunning(temporal, wayBackWorkflowId(schema, turn))),
  );
  const [last] = ways
    .filter((way) => way !== null)
    .sort((a, b) => b.startTime.getTime() - a.startTime.getTime());
  if (!last) throw new NoWayBackError(shard, schema);
  return last;
}
