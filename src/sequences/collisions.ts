import { groupBy } from "../group-by.ts";
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
 * The shards, without repetition, that can produce the same value as another one. Sequences are compared by their sorted
 * ranges, grouped by step and remainder, so that thousands cost no more than sorting.
 */
export function colliding(reaches: readonly Reach[]): string[] {
  const found = new Set<string>();
  for (const list of groupBy(reaches, ({ first, step }) => `${step} ${remainder(first, step)}`).values())
    overlapping(list, found);
  // Sequences with two different steps can meet where their remainders agree.
  const bySteps = [...groupBy(reaches, ({ step }) => step)];
  for (const [i, [step, list]] of bySteps.entries()) {
    for (const [otherStep, others] of bySteps.slice(i + 1)) {
      const common = gcd(step, otherStep);
      const classOf = ({ first }: Reach): bigint => remainder(first, common);
      const classes = groupBy(others, classOf);
      for (const [key, some] of groupBy(list, classOf)) {
        const there = classes.get(key) ?? [];
        meeting(some, there, found);
        meeting(there, some, found);
      }
    }
  }
  return [...found].sort();
}

const byFirst = (a: Reach, b: Reach): number => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0);

/** Adds those of the given reaches that overlap another one of them. */
function overlapping(list: readonly Reach[], found: Set<string>): void {
  const sorted = [...list].sort(byFirst);
  let furthest = sorted[0];
  for (const reach of sorted.slice(1)) {
    if (furthest && reach.first <= furthest.last && reach.shard !== furthest.shard) {
      found.add(reach.shard).add(furthest.shard);
    }
    if (!furthest || reach.last > furthest.last) furthest = reach;
  }
}

/** Adds those of the given reaches that overlap one of the others: the furthest of those that begin before its end. */
function meeting(list: readonly Reach[], others: readonly Reach[], found: Set<string>): void {
  const sorted = [...others].sort(byFirst);
  let begun = 0;
  let furthest: Reach | undefined;
  for (const reach of [...list].sort((a, b) => (a.last < b.last ? -1 : a.last > b.last ? 1 : 0))) {
    for (; begun < sorted.length && sorted[begun]!.first <= reach.last; begun++)
      if (!furthest || sorted[begun]!.last > furthest.last) furthest = sorted[begun];
    if (furthest && furthest.last >= reach.first) found.add(reach.shard);
  }
}
