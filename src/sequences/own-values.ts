/** How the sequences of one shard avoid the values of all others. */
export type SequenceMode = "interleave" | "range";

/** Shard N of an interleaved cluster hands out N, N + 10000, N + 20000 and so on. */
const STEP = 10_000n;

/** The number of values for each shard in mode `range`, by the width of the narrowest type that holds them, in bytes. */
export const RANGE_SIZES: Readonly<Record<number, bigint>> = { 4: 200_000n, 8: 1_000_000_000_000n };

/** The parameters of a sequence, with the meaning that they have in pg_sequence. */
export interface SequenceNumbers {
  readonly increment: bigint;
  readonly min: bigint;
  readonly max: bigint;
  readonly start: bigint;
}

/**
 * The numbers that a shard's sequence needs so that no other shard can produce its values. A sequence that counts
 * down gets the same values below zero.
 * @param width bytes of the narrowest type into which the values have to fit: 2, 4 or 8.
 * @returns null if the shard's number, or the type, leaves no room.
 */
export function ownNumbers(
  mode: SequenceMode,
  shard: number,
  width: number,
  down = false,
): SequenceNumbers | null {
  const numbers = mode === "interleave" ? interleaved(shard, width) : ranged(shard, width);
  if (!numbers || !down) return numbers;
  const { increment, min, max, start } = numbers;
  return { increment: -increment, min: -max, max: -min, start: -start };
}

function interleaved(shard: number, width: number): SequenceNumbers | null {
  if (width < 4 || BigInt(shard) >= STEP) return null;
  // Sequences begin with 1 or more, so shard 0 gets the values of what would be shard 10000.
  const first = BigInt(shard) || STEP;
  return { increment: STEP, min: first, max: highest(width), start: first };
}

function ranged(shard: number, width: number): SequenceNumbers | null {
  const size = RANGE_SIZES[width];
  if (size === undefined) return null;
  const [min, max] = [BigInt(shard) * size + 1n, (BigInt(shard) + 1n) * size];
  return max > highest(width) ? null : { increment: 1n, min, max, start: min };
}

/** The largest value of an integer type with the given number of bytes. */
export const highest = (width: number): bigint => 2n ** BigInt(8 * width - 1) - 1n;

/** The largest shard number for which a mode has room. */
export function lastShard(mode: SequenceMode, width: number): number | null {
  if (width < 4) return null;
  return mode === "interleave" ? Number(STEP) - 1 : Number(highest(width) / RANGE_SIZES[width]!) - 1;
}

/**
 * The first of a shard's own values that is beyond the used ones.
 * @param beyond the last used value: the largest, or for a sequence that counts down, the smallest.
 * @returns null if none is left.
 */
export function firstBeyond(numbers: SequenceNumbers, beyond: bigint | null): bigint | null {
  const { increment, min, max, start } = numbers;
  const up = increment > 0n;
  if (beyond === null || (up ? beyond < start : beyond > start)) return start;
  const next = start + ((beyond - start) / increment + 1n) * increment;
  return next > max || next < min ? null : next;
}

/**
 * SQL that recognizes such a sequence.
 * @param s alias of pg_sequence
 * @param no expression for the shard's number
 */
export function ownNumbersSql(s: string, no: string): Record<SequenceMode, string> {
  const first = `COALESCE(NULLIF(${no}, 0), ${STEP})`;
  const ranges = Object.values(RANGE_SIZES).map((size) => {
    const [from, to] = [`${no}::numeric * ${size} + 1`, `(${no}::numeric + 1) * ${size}`];
    return (
      `${s}.seqincrement = 1 AND (${s}.seqstart, ${s}.seqmin, ${s}.seqmax) = (${from}, ${from}, ${to})` +
      ` OR ${s}.seqincrement = -1 AND (${s}.seqstart, ${s}.seqmax, ${s}.seqmin) = (-(${from}), -(${from}), -(${to}))`
    );
  });
  return {
    interleave:
      `(${s}.seqincrement = ${STEP} AND ${s}.seqmin = ${first} AND ${s}.seqstart = ${first}` +
      ` OR ${s}.seqincrement = -${STEP} AND ${s}.seqmax = -${first} AND ${s}.seqstart = -${first})`,
    range: `(${ranges.join(" OR ")})`,
  };
}
