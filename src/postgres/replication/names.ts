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

/** True for a name that replicationNames may have made. */
export const isReplicationName = (name: string): boolean =>
  name.startsWith(OBJECT_PREFIX) && /_[0-9a-f]{10}_[0-9a-f]{6}$/.test(name);

/**
 * Names for one run of a workflow. Another run never takes up what this one made: a subscription that
 * went on with another slot would skip changes, and one that knows no table has "copied" all of them.
 */
export function replicationNames(workflowId: string, runId: string, schema: string): ReplicationNames {
  const name = namesBegin(workflowId, schema) + digest(runId, 6);
  return { slot: name, publication: name, subscription: name };
}

/** The comment that marks a half-made copy as made by this run of this workflow. */
export const markOf = (workflowId: string, runId: string, from: string, begun: Date): string =>
  `${MARK_PREFIX} from ${from} by workflow ${workflowId}, run ${runId}; begun ${begun.toISOString()}; it is dropped and made again at need`;

/** What the mark of a half-made copy tells; null when the comment is no such mark. */
export function readMark(
  comment: string | null,
): { from: string; workflowId: string; runId: string; begun: string | null } | null {
  const pattern = new RegExp(
    `^${MARK_PREFIX} from (.*?) by workflow (.*), run ([^;,]+);(?: begun ([^;]+);)?`,
    "s",
  );
  const [, from, workflowId, runId, begun = null] = pattern.exec(comment ?? "") ?? [];
  return from && workflowId && runId ? { from, workflowId, runId, begun } : null;
}

/** The run that made a half-made copy, told by its mark; null when it is no mark, or that of another workflow. */
export function runOfMark(comment: string | null, workflowId: string): string | null {
  const begin = `by workflow ${workflowId}, run `;
  const at = comment?.startsWith(MARK_PREFIX) ? comment.indexOf(begin) : -1;
  return at < 0 ? null : comment!.slice(at + begin.length).replace(/;.*$/, "");
}

/** `YYYYMMDDhhmmss` in UTC. */
export const timestampSuffix = (at: Date): string => at.toISOString().replace(/\D/g, "").slice(0, 14);

/** What a copy is: `old` is left on the source by a move, `new` on the destination by a rehearsal. */
export type CopyKind = "old" | "new";

/** Bytes of an identifier: PostgreSQL cuts off what is longer, which here would be the time. */
const MAX_IDENTIFIER_BYTES = 63;
/** Bytes of `old_20250131120000`. */
const SUFFIX_BYTES = 18;

/** What the names of a schema's copies begin with: its name, or where that is long, its beginning and a digest. */
export function copyBase(schema: string): string {
  const room = MAX_IDENTIFIER_BYTES - SUFFIX_BYTES;
  const bytes = new TextEncoder().encode(schema);
  if (bytes.length <= room) return schema;
  // In streaming mode a character that is cut in its middle is left out.
  const beginning = new TextDecoder().decode(bytes.subarray(0, room - 9), { stream: true });
  return `${beginning}_${digest(schema, 8)}`;
}

/** What the name of a copy tells; null when it is no such name. */
export function readCopyName(name: string): { base: string; kind: CopyKind; at: Date } | null {
  const [, base, kind, time] = /^(.+)(old|new)_(\d{14})$/s.exec(name) ?? [];
  const at = base === undefined ? null : timeOf(time!);
  return at && { base: base!, kind: kind as CopyKind, at };
}

/** The time of a timestampSuffix; null when its digits are none. */
export function timeOf(digits: string): Date | null {
  const [, date, hour, minute, second] = /^(\d{8})(\d\d)(\d\d)(\d\d)$/.exec(digits) ?? [];
  const at = new Date(`${date?.replace(/(....)(..)(..)/, "$1-$2-$3")}T${hour}:${minute}:${second}Z`);
  return !Number.isNaN(at.getTime()) && timestampSuffix(at) === digits ? at : null;
}

/** Name of a copy: `<schema>old_<time>`. */
export const copyName = (schema: string, kind: CopyKind, at: Date): string =>
  `${copyBase(schema)}${kind}_${timestampSuffix(at)}`;
