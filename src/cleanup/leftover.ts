import type { IslandName } from "../../contract/names.ts";

/**
 * - old copy: what a move has left on the source, renamed.
 * - rehearsal: what a move that was not to activate has left on the destination.
 * - half-made copy: what a move or copy was filling when it was ended without a chance to undo it.
 * - slot, publication, subscription: replication of such a move or copy.
 */
export type LeftoverKind =
  "old copy" | "rehearsal" | "half-made copy" | "slot" | "publication" | "subscription";

/** Something that a move or copy has left behind. */
export interface Leftover {
  readonly island: IslandName;
  readonly kind: LeftoverKind;
  /** Name of the schema, slot, publication or subscription. */
  readonly name: string;
  /** What it is a copy of; null where that is not known. */
  readonly schema: string | null;
  /** Size of its tables with their indexes; of a slot, the WAL that it keeps; null for what takes no space. */
  readonly bytes: number | null;
  /** When it was made, in ISO 8601; null where that is not known. */
  readonly since: string | null;
  /** The workflow that made it; null for what pg-microsharding made, or where it is not known. */
  readonly workflowId: string | null;
  /** Why it is left alone; null for what is to be dropped. */
  readonly kept: string | null;
}

/** One leftover among all. */
export const keyOf = ({ island, kind, name }: Pick<Leftover, "island" | "kind" | "name">): string =>
  JSON.stringify([island, kind, name]);
