/** A sequence as it is defined on the source. */
export interface Sequence {
  name: string;
  owner: string;
  increment: string;
  min: string;
  max: string;
  start: string;
  /** Smallest and largest value of its data type. */
  lowest: string;
  highest: string;
}

/** The value of a sequence as it is handed over from one server to the other. */
export interface SequenceValue {
  name: string;
  value: string;
  called: boolean;
}

/** How a sequence continues on the destination, and within which limits the old copy may continue. */
export interface Shares {
  destination: SequenceValue;
  fence: Fence;
}

/** New parameters for the old copy; `restart` is the value with which it begins again. */
export interface Fence {
  increment: bigint;
  min: bigint;
  max: bigint;
  start: bigint;
  restart: bigint | null;
  /** Whether the old copy's type becomes bigint, since its own type does not allow such limits. */
  widened: boolean;
}

/**
 * Values left to the old copy of a sequence that somebody is waiting for: such a call has resolved the
 * name, and may be one of thousands in its statement.
 */
const RESERVE = 10_000n;
/** The smallest and the largest bigint. */
const [LOWEST, HIGHEST] = [-(2n ** 63n), 2n ** 63n - 1n];
/** A reserve may take one in so many of the values that are left. */
const RESERVE_SHARE = 1000n;

/**
 * Shares out the values that a sequence has left: first the old copy's part, which is empty if nobody is waiting, then
 * the destination's. If the old copy gets no part, the destination's sequence is exactly the source's.
 */
export function shareOut(sequence: Sequence, { value, called }: SequenceValue, waitedFor: boolean): Shares {
  const [increment, last] = [BigInt(sequence.increment), BigInt(value)];
  const reserve = waitedFor ? reserveOf(sequence, last) : 0n;
  if (reserve === 0n) {
    const destination = { name: sequence.name, value, called };
    if (called) return { destination, fence: fenceAt(sequence, last, null) };
    // PostgreSQL hands out the value of an uncalled sequence whatever the limits are, so the old copy gets an unused one.
    const nobodys = (increment > 0n ? BigInt(sequence.min) : BigInt(sequence.max)) - increment;
    const widened = nobodys < BigInt(sequence.lowest) || nobodys > BigInt(sequence.highest);
    if (LOWEST <= nobodys && nobodys <= HIGHEST)
      return { destination, fence: { ...fenceAt(sequence, nobodys, nobodys), widened } };
  }
  // An uncalled sequence first hands out its present value. At the end of bigint it keeps that one in any case.
  const limit = last + ((reserve || 1n) - (called ? 0n : 1n)) * increment;
  return {
    destination: { name: sequence.name, value: String(limit), called: true },
    fence: fenceAt(sequence, limit, called ? null : last),
  };
}

function reserveOf(sequence: Sequence, last: bigint): bigint {
  const increment = BigInt(sequence.increment);
  const left = ((increment > 0n ? BigInt(sequence.max) : BigInt(sequence.min)) - last) / increment;
  return smaller(RESERVE, left / RESERVE_SHARE);
}

/** The parameters that make the given value the last one. */
function fenceAt(sequence: Sequence, limit: bigint, restart: bigint | null): Fence {
  const increment = BigInt(sequence.increment);
  // The minimum has to be below the maximum. If the type has no value beyond the limit, the direction is reversed.
  const turned = limit === BigInt(increment > 0n ? sequence.lowest : sequence.highest);
  const up = increment > 0n !== turned;
  const [min, max] = up
    ? [smaller(BigInt(sequence.min), limit - 1n), limit]
    : [limit, larger(BigInt(sequence.max), limit + 1n)];
  const start = larger(min, smaller(max, BigInt(sequence.start)));
  return { increment: turned ? (up ? 1n : -1n) : increment, min, max, start, restart, widened: false };
}

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
