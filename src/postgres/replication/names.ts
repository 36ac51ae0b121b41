import { digest } from "../schema/copy-names.ts";

/**
 * The only place where the names of replication objects are derived. They are deterministic, so that a
 * retry, a compensation and `cleanup` find what an earlier attempt has created without being told.
 */

/** Prefix of all our slots, publications and subscriptions. */
export const OBJECT_PREFIX = "shardferry_";

/** Prefix of the comment of a schema that is being filled; `cleanup` and the SQL API look for it. */
export const MARK_PREFIX = "shardferry: half-made copy";

/**
 * The prefix that the names of all runs of one workflow share. It identifies the same move in another
 * Temporal namespace, and what a terminated run has left behind. Slots allow only `[a-z0-9_]{1,63}`.
 */
export function namesBegin(workflowId: string, schema: string): string {
  const readable = schema
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "_")
    .slice(0, 30);
  return `${OBJECT_PREFIX}${readable}_${digest(workflowId, 10)}_`;
}

/** True for a name that replicationName may have derived. */
export const isReplicationName = (name: string): boolean =>
  name.startsWith(OBJECT_PREFIX) && /_[0-9a-f]{10}_[0-9a-f]{6}$/.test(name);

/**
 * The name that one run of a workflow gives its slot, publication and subscription. Another run never continues with
 * these objects: a subscription that continued with another slot would skip changes, and one that knows no tables has
 * "copied" all of them.
 */
export const replicationName = (workflowId: string, runId: string, schema: string): string =>
  namesBegin(workflowId, schema) + digest(runId, 6);

/** The comment that marks a half-made copy as made by this run of this workflow. */
export const markOf = (
  workflowId: string,
  runId: string,
  from: string,
  begun: Date,
  fate = "it is dropped and made again at need",
): string =>
  `${MARK_PREFIX} from ${from} by workflow ${workflowId}, run ${runId}; begun ${begun.toISOString()}; ${fate}`;

/** Parses the mark of a half-made copy; null if the comment is not such a mark. */
export function readMark(
  comment: string | null,
): { from: string; workflowId: string; runId: string; begun: string | null; until: string | null } | null {
  const pattern = new RegExp(
    `^${MARK_PREFIX} from (.*?) by workflow (.*), run ([^;,]+);(?: begun ([^;]+);)?(?:[^;]* until ([^;]+);)?`,
    "s",
  );
  const [, from, workflowId, runId, begun = null, until = null] = pattern.exec(comment ?? "") ?? [];
  return from && workflowId && runId ? { from, workflowId, runId, begun, until } : null;
}

/** The run that made a half-made copy, according to its mark; null if it is not a mark, or that of another workflow. */
export function runOfMark(comment: string | null, workflowId: string): string | null {
  const begin = `by workflow ${workflowId}, run `;
  const at = comment?.startsWith(MARK_PREFIX) ? comment.indexOf(begin) : -1;
  return at < 0 ? null : comment!.slice(at + begin.length).replace(/;.*$/, "");
}
