import { createHash } from "node:crypto";

import type { IslandName } from "../../contract/names.ts";

/** The prefix of the gids of all runs of a workflow; the workflow's id contains no colon. */
export const gidsOfWorkflow = (workflowId: string): string => `shardferry:${workflowId}:`;

/** The prefix of the gids of one run. */
export const gidsOfRun = (workflowId: string, runId: string): string =>
  `${gidsOfWorkflow(workflowId)}${runId}:`;

/**
 * The name of a prepared transaction. gids have to be unique in a server, and two islands may be databases of one
 * server. The attempt number distinguishes it from what an abandoned attempt may have prepared.
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

/** Recorded by each shard, to show which transaction applied a migration. */
export const transactionKey = (runId: string, round: number): string => `${runId}:${round}`;

/** Run, round, attempt, place: anything else that begins like our gids belongs to somebody else. */
const OWN_GID = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):(\d+):\d+:[0-9a-f]{8}$/;

/** The transaction of a gid, as the shards record it, with its run; null if gidOf has not made the gid. */
export function ofGid(gid: string, workflowId: string): { runId: string; key: string } | null {
  const [, runId, round] = OWN_GID.exec(gid.slice(gidsOfWorkflow(workflowId).length)) ?? [];
  return runId === undefined ? null : { runId, key: `${runId}:${round}` };
}

/** The attempt that has prepared a transaction. */
export const attemptOfGid = (gid: string): number => Number(gid.split(":").at(-2));

/** The name under which the sessions of a run are found and ended by a later attempt; 63 bytes at most. */
export const sessionName = (runId: string): string => `shardferry_migrate_${runId}`;
