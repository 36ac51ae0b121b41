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

/**
 * Names for a workflow. Slots allow only `[a-z0-9_]{1,63}`, so any other character of the schema is
 * replaced, and a hash of the workflow id keeps names of different operations apart.
 */
export function replicationNames(workflowId: string, schema: string): ReplicationNames {
  const readable = schema
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "_")
    .slice(0, 36);
  const hash = createHash("sha256").update(workflowId).digest("hex").slice(0, 10);
  const name = `${OBJECT_PREFIX}${readable}_${hash}`;
  return { slot: name, publication: name, subscription: name };
}

/** The comment that marks a half-made copy as made by this workflow. */
export const markOf = (workflowId: string, from: string): string =>
  `${MARK_PREFIX} from ${from} by workflow ${workflowId}; it is dropped and made again at need`;

/** True when a comment is the mark of this workflow, whichever of its runs made it. */
export const isMarkOf = (comment: string | null, workflowId: string): boolean =>
  comment !== null && comment.startsWith(MARK_PREFIX) && comment.includes(`by workflow ${workflowId};`);

/** `YYYYMMDDhhmmss` in UTC. */
export const timestampSuffix = (at: Date): string => at.toISOString().replace(/\D/g, "").slice(0, 14);

/** Name of the old copy that a move leaves on the source. */
export const oldSchemaName = (schema: string, at: Date): string => `${schema}old_${timestampSuffix(at)}`;

/** Name of the copy that a rehearsal leaves on the destination. */
export const newSchemaName = (schema: string, at: Date): string => `${schema}new_${timestampSuffix(at)}`;
