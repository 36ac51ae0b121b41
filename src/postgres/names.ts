import { createHash } from "node:crypto";

/**
 * The only place where the names of replication objects are derived. They are deterministic, so that a
 * retry, a compensation and `cleanup` find what an earlier attempt made without having been told.
 */

/** What a workflow run calls its objects. */
export interface ReplicationNames {
  slot: string;
  publication: string;
  subscription: string;
}

/** Prefix of every slot, publication and subscription of ours. */
export const OBJECT_PREFIX = "shardferry_";

/** Prefix of the comment of a schema that is being filled; `cleanup` and the SQL API look for it. */
export const MARK_PREFIX = "shardferry: half-made copy";

const digest = (text: string, length: number): string =>
  createHash("sha256").update(text).digest("hex").slice(0, length);

/**
 * What the names of all runs of one workflow begin with: by it the same move is recognized in another
 * Temporal namespace, and what a terminated run left behind. Slots allow only `[a-z0-9_]{1,63}`.
 */
export function namesBegin(workflowId: string, schema: string): string {
  const readable = schema
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "_")
    .slice(0, 30);
  return `${OBJECT_PREFIX}${readable}_${digest(workflowId, 10)}_`;
}

/**
 * Names for one run of a workflow. Another run never takes up what this one made: a subscription that
 * went on with another slot would skip changes, and one that knows no table has "copied" all of them.
 */
export function replicationNames(workflowId: string, runId: string, schema: string): ReplicationNames {
  const name = namesBegin(workflowId, schema) + digest(runId, 6);
  return { slot: name, publication: name, subscription: name };
}

/** The comment that marks a half-made copy as made by this run of this workflow. */
export const markOf = (workflowId: string, runId: string, from: string): string =>
  `${MARK_PREFIX} from ${from} by workflow ${workflowId}, run ${runId}; it is dropped and made again at need`;

/** The run that made a half-made copy, told by its mark; null when it is no mark, or that of another workflow. */
export function runOfMark(comment: string | null, workflowId: string): string | null {
  const begin = `by workflow ${workflowId}, run `;
  const at = comment?.startsWith(MARK_PREFIX) ? comment.indexOf(begin) : -1;
  return at < 0 ? null : comment!.slice(at + begin.length).replace(/;.*$/, "");
}

/** `YYYYMMDDhhmmss` in UTC. */
export const timestampSuffix = (at: Date): string => at.toISOString().replace(/\D/g, "").slice(0, 14);

/** Name of the old copy that a move leaves on the source. */
export const oldSchemaName = (schema: string, at: Date): string => `${schema}old_${timestampSuffix(at)}`;

/** Name of the copy that a rehearsal leaves on the destination. */
export const newSchemaName = (schema: string, at: Date): string => `${schema}new_${timestampSuffix(at)}`;
