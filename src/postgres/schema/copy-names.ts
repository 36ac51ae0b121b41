import { createHash } from "node:crypto";

/** `YYYYMMDDhhmmss` in UTC. */
export const timestampSuffix = (at: Date): string => at.toISOString().replace(/\D/g, "").slice(0, 14);

/** What a copy is: `old` is left on the source by a move, `new` on the destination by a rehearsal. */
export type CopyKind = "old" | "new";

/** Bytes of an identifier: PostgreSQL cuts off the rest, which here would be the time. */
const MAX_IDENTIFIER_BYTES = 63;

/** Bytes of `old_20250131120000`. */
const SUFFIX_BYTES = 18;

/** The prefix of the names of a schema's copies: its name, or if that is too long, its beginning and a digest. */
export function copyBase(schema: string): string {
  const room = MAX_IDENTIFIER_BYTES - SUFFIX_BYTES;
  const bytes = new TextEncoder().encode(schema);
  if (bytes.length <= room) return schema;
  // In streaming mode, a truncated character at the end is omitted.
  const beginning = new TextDecoder().decode(bytes.subarray(0, room - 9), { stream: true });
  return `${beginning}_${digest(schema, 8)}`;
}

/** Parses the name of a copy; null if it is not such a name. */
export function readCopyName(name: string): { base: string; kind: CopyKind; at: Date } | null {
  const [, base, kind, time] = /^(.+)(old|new)_(\d{14})$/s.exec(name) ?? [];
  const at = base === undefined ? null : timeOf(time!);
  return at && { base: base!, kind: kind as CopyKind, at };
}

/** The time of a timestampSuffix; null if the digits are not a valid time. */
export function timeOf(digits: string): Date | null {
  const [, date, hour, minute, second] = /^(\d{8})(\d\d)(\d\d)(\d\d)$/.exec(digits) ?? [];
  const at = new Date(`${date?.replace(/(....)(..)(..)/, "$1-$2-$3")}T${hour}:${minute}:${second}Z`);
  return !Number.isNaN(at.getTime()) && timestampSuffix(at) === digits ? at : null;
}

/** The name of a copy: `<schema>old_<time>`. */
export const copyName = (schema: string, kind: CopyKind, at: Date): string =>
  `${copyBase(schema)}${kind}_${timestampSuffix(at)}`;

export const digest = (text: string, length: number): string =>
  createHash("sha256").update(text).digest("hex").slice(0, length);

/** The name of the function that fences an old copy against writers, in the schema itself, and of its trigger on each table. */
export const FENCE = "shardferry_fence_";
