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

/** The value of a sequence as it is handed from one server to the other. */
export interface SequenceValue {
  name: string;
  value: string;
  called: boolean;
}

/** How a sequence goes on at the destination, and within which limits the old copy may go on. */
export interface Shares {
  destination: SequenceValue;
  fence: Fence;
}

/** New parameters of the old copy; a restart begins with that value. */
export interface Fence {
  increment: bigint;
  min: bigint;
  max: bigint;
  start: bigint;
  restart: bigint | null;
  /** Whether the old copy's type becomes bigint, since its own has no such limits. */
  widened: boolean;
}

/**
 * Values left to the old copy of a sequence that somebody is waiting for: such a call has resolved the
 * name, and may be one of thousands in its statement.
 */
const RESERVE = 10_000n;
/** The smallest and the largest bigint. */
const [LOWEST, HIGHEST] = [-(2n ** 63n), 2n ** 63n - 1n];
/** Share of the values that are left which a reserve may take. */
const RESERVE_SHARE = 1000n;

/**
 * Shares out what a sequence has left: first the old copy's part, which is nothing where nobody waits, then the
 * destination's. Without a part of the old copy the destination's sequence is exactly the source's.
 */
export function shareOut(sequence: Sequence, { value, called }: SequenceValue, waitedFor: boolean): Shares {
  const [increment, last] = [BigInt(sequence.increment), BigInt(value)];
  const reserve = waitedFor ? reserveOf(sequence, last) : 0n;
  if (reserve === 0n) {
    const destination = { name: sequence.name, value, called };
    if (called) return { destination, fence: fenceAt(sequence, last, null) };
    // PostgreSQL hands out the value of an uncalled sequence whatever the limits are: it gets one that is nobody's.
    const nobodys = (increment > 0n ? BigInt(sequence.min) : BigInt(sequence.max)) - increment;
    const widened = nobodys < BigInt(sequence.lowest) || nobodys > BigInt(sequence.highest);
    if (LOWEST <= nobodys && nobodys <= HIGHEST)
      return { destination, fence: { ...fenceAt(sequence, nobodys, nobodys), widened } };
  }
  // An uncalled sequence hands out its value itself first. At the end of bigint it keeps this one in any case.
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
  // The minimum has to be below the maximum. Where the type has no value beside the limit, the sequence turns round.
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
