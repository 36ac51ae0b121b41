import type { IslandName } from "../../contract/names.ts";

/**
 * - old copy: what a move has left on the source, renamed.
 * - rehearsal: what a move with `--activate-on-destination=no` has left on the destination.
 * - half-made copy: what a move or copy was filling when it was terminated without a chance to undo it.
 * - slot, publication, subscription: replication of such a move or copy.
 */
export type LeftoverKind =
  "old copy" | "rehearsal" | "half-made copy" | "slot" | "publication" | "subscription";

/** Something that a move or copy has left behind. */
export interface Leftover {
  readonly island: IslandName;
  readonly kind: LeftoverKind;
  /** The name of the schema, slot, publication or subscription. */
  readonly name: string;
  /** The schema of which it is a copy; null if that is not known. */
  readonly schema: string | null;
  /** The size of its tables with their indexes; for a slot, the WAL that it retains; null for what takes no space. */
  readonly bytes: number | null;
  /** When it was created, in ISO 8601; null if that is not known. */
  readonly since: string | null;
  /** The workflow that created it; null if pg-microsharding created it, or if it is not known. */
  readonly workflowId: string | null;
  /** Why it is left alone; null if it is to be dropped. */
  readonly kept: string | null;
}

/** Identifies one leftover among all. */
export const keyOf = ({ island, kind, name }: Pick<Leftover, "island" | "kind" | "name">): string =>
  JSON.stringify([island, kind, name]);
