import type { SequenceNumbers } from "./own-values.ts";

/** What a sequence can still produce: the values from `first` to `last`, `step` apart. */
export interface Reach {
  readonly shard: string;
  readonly step: bigint;
  readonly first: bigint;
  readonly last: bigint;
}

/** What a sequence with these numbers can produce, from its smallest value to its largest. */
export function reachOf(shard: string, { increment, min, max, start }: SequenceNumbers): Reach {
  const step = increment > 0n ? increment : -increment;
  return increment > 0n
    ? { shard, step, first: start - ((start - min) / step) * step, last: max }
    : { shard, step, first: min + ((start - min) % step), last: max };
}

const remainder = (value: bigint, step: bigint): bigint => ((value % step) + step) % step;

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));

/**
 * The shards of which at least two can produce the same value. Sequences of the same step and remainder are
 * compared by their ranges in order, so that thousands of interleaved ones cost no more than sorting.
 */
export function colliding(reaches: readonly Reach[]): string[] {
  const classes = new Map<string, Reach[]>();
  for (const reach of reaches) {
    const key = `${reach.step} ${remainder(reach.first, reach.step)}`;
    classes.set(key, [...(classes.get(key) ?? []), reach]);
  }
  const found = new Set<string>();
  for (const list of classes.values()) overlapping(list, found);
  const steps = new Set(reaches.map(({ step }) => step));
  // The values of two steps meet wherever the remainders agree.
  if (steps.size > 1) {
    const all = [...classes.values()];
    for (const [i, one] of all.entries()) {
      for (const other of all.slice(i + 1)) {
        if (one[0]!.step === other[0]!.step) continue;
        const common = gcd(one[0]!.step, other[0]!.step);
        if (remainder(one[0]!.first - other[0]!.first, common) === 0n) overlapping([...one, ...other], found);
      }
    }
  }
  return [...found].sort();
}

function overlapping(list: readonly Reach[], found: Set<string>): void {
  const sorted = [...list].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  let furthest = sorted[0];
  for (const reach of sorted.slice(1)) {
    if (furthest && reach.first <= furthest.last && reach.shard !== furthest.shard) {
      found.add(reach.shard).add(furthest.shard);
    }
    if (!furthest || reach.last > furthest.last) furthest = reach;
  }
}
