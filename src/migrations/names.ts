import { createHash } from "node:crypto";

import type { IslandName } from "../../contract/names.ts";

/** What the gids of all runs of a workflow begin with; the workflow's id has no colon. */
export const gidsOfWorkflow = (workflowId: string): string => `shardferry:${workflowId}:`;

/** What the gids of one run begin with. */
export const gidsOfRun = (workflowId: string, runId: string): string =>
  `${gidsOfWorkflow(workflowId)}${runId}:`;

/**
 * The name of a prepared transaction: gids are unique in a server, and two islands may be databases of one. The
 * number of the attempt keeps what an attempt that was given up may have prepared from being taken for this one's.
 */
export function gidOf(
  workflowId: string,
  runId: string,
  round: number,
  attempt: number,
  island: IslandName,
): string {
  const place = createHash("sha256").update(island).digest("hex").slice(0, 8);
  return `${gidsOfRun(workflowId, runId)}${round}:${attempt}:${place}`;
}

/** By this a shard remembers which transaction brought a migration. */
export const transactionKey = (runId: string, round: number): string => `${runId}:${round}`;

/** Run, round, attempt, place: whatever else begins like ours is somebody else's. */
const OWN_GID = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):(\d+):\d+:[0-9a-f]{8}$/;

/** The transaction of a gid, as the shards remember it, with its run; null where gidOf has not made it. */
export function ofGid(gid: string, workflowId: string): { runId: string; key: string } | null {
  const [, runId, round] = OWN_GID.exec(gid.slice(gidsOfWorkflow(workflowId).length)) ?? [];
  return runId === undefined ? null : { runId, key: `${runId}:${round}` };
}

/** The attempt that has prepared a transaction. */
export const attemptOfGid = (gid: string): number => Number(gid.split(":").at(-2));

/** The name under which the sessions of a run are found and ended by a later attempt; 63 bytes at most. */
export const sessionName = (runId: string): string => `shardferry_migrate_${runId}`;
