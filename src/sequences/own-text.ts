import { ownNumbers, type SequenceMode } from "./own-values.ts";

/** A number in DDL that is different in each shard. */
export interface OwnText {
  /** The number in a given shard. */
  of(shard: number): string;
  /** The text to show where no particular shard is meant. */
  readonly words: string;
}

type Part = "min" | "max" | "start";
const PATTERN = /shardferry_own_(min|max|start)_(interleave|range)_([48])(_down)?/g;

/** Stands in DDL for a number of a sequence that has values of its own. */
export const ownToken = (part: Part, mode: SequenceMode, width: number, down: boolean): string =>
  `shardferry_own_${part}_${mode}_${width}${down ? "_down" : ""}`;

/** Replaces these tokens. */
export function ownText(text: string, replace: (own: OwnText) => string): string {
  return text.replace(PATTERN, (_all, part: Part, mode: SequenceMode, width: string, down?: string) =>
    replace({
      words: `<${part} of the shard>`,
      of: (shard) => String(ownNumbers(mode, shard, Number(width), down !== undefined)?.[part] ?? "NULL"),
    }),
  );
}
