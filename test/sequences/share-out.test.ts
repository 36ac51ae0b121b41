import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { type Sequence, type SequenceValue, shareOut } from "../../src/sequences/share-out.ts";

/** A sequence that counts as PostgreSQL does. */
class Counter {
  increment: bigint;
  min: bigint;
  max: bigint;

  constructor(
    { increment, min, max }: Record<"increment" | "min" | "max", bigint | string>,
    readonly cycle: boolean,
    public value: bigint,
    public called: boolean,
  ) {
    [this.increment, this.min, this.max] = [BigInt(increment), BigInt(min), BigInt(max)];
  }

  /** The next value; null if there is none. */
  next(): bigint | null {
    if (!this.called) this.called = true;
    else {
      const next = this.value + this.increment;
      const inside = next >= this.min && next <= this.max;
      if (!inside && !this.cycle) return null;
      this.value = inside ? next : this.increment > 0n ? this.min : this.max;
    }
    return this.value;
  }

  take(most: number): bigint[] {
    const taken: bigint[] = [];
    for (let next; taken.length < most && (next = this.next()) !== null;) taken.push(next);
    return taken;
  }
}

const BIGINT = { lowest: -(2n ** 63n), highest: 2n ** 63n - 1n };

interface Case {
  sequence: Sequence;
  cycle: boolean;
  state: SequenceValue;
}

const bigints = (min: bigint, max: bigint): fc.Arbitrary<bigint> =>
  // Mistakes occur at the ends, and close to them.
  fc.oneof(
    fc.bigInt({ min, max }),
    fc.bigInt({ min: 0n, max: 3n }).map((near) => (min + near < max ? min + near : max)),
    fc.bigInt({ min: 0n, max: 3n }).map((near) => (max - near > min ? max - near : min)),
  );

/** Sequences of all types in all states; one called with CACHE is the same as one at the last value of its caches. */
const cases: fc.Arbitrary<Case> = fc.constantFrom(2n, 4n, 8n).chain((bytes) => {
  const highest = 2n ** (8n * bytes - 1n) - 1n;
  const lowest = -highest - 1n;
  const steps = fc.oneof(fc.constant(1n), fc.bigInt({ min: 1n, max: 12_000n }));
  const limits = fc
    .tuple(bigints(lowest, highest), bigints(lowest, highest))
    .filter(([a, b]) => a !== b)
    .map(([a, b]) => (a < b ? ([a, b] as const) : ([b, a] as const)));
  return fc
    .tuple(steps, fc.boolean(), fc.boolean(), fc.boolean(), limits)
    .chain(([step, up, cycle, called, [min, max]]) =>
      fc.record({ start: bigints(min, max), value: bigints(min, max) }).map(({ start, value }) => ({
        sequence: {
          name: "s",
          owner: "o",
          increment: String(up ? step : -step),
          min: String(min),
          max: String(max),
          start: String(start),
          lowest: String(lowest),
          highest: String(highest),
        },
        cycle,
        state: { name: "s", value: String(value), called },
      })),
    );
});

/** Fences the old copy as ALTER SEQUENCE does, which refuses what is not possible. */
function fenced({ sequence, state }: Case, waitedFor: boolean): Counter {
  const { fence } = shareOut(sequence, state, waitedFor);
  const [value, called] =
    fence.restart === null ? [BigInt(state.value), state.called] : [fence.restart, false];
  const type = fence.widened ? BIGINT : sequence;
  assert.ok(BigInt(type.lowest) <= fence.min && fence.max <= BigInt(type.highest), "the limits fit the type");
  assert.ok(fence.min < fence.max, "the minimum is below the maximum");
  assert.ok(fence.increment !== 0n);
  for (const within of [fence.start, value]) assert.ok(fence.min <= within && within <= fence.max);
  return new Counter(fence, false, value, called);
}

const counterOf = ({ sequence, cycle }: Case, { value, called }: SequenceValue): Counter =>
  new Counter(sequence, cycle, BigInt(value), called);

const check = (property: (one: Case, waitedFor: boolean) => void): void =>
  fc.assert(fc.property(cases, fc.boolean(), property), { numRuns: 1000, seed: 20_260 });

describe("a sequence that is handed over", () => {
  it("is shared out: the old copy gets the next values, the destination those that follow, and no value belongs to both", () => {
    check((one, waitedFor) => {
      const { sequence, state } = one;
      const left = fenced(one, waitedFor).take(20_000);
      assert.ok(left.length <= 10_000, "the old copy comes to an end");
      const own = left.filter((value) => value >= BigInt(sequence.min) && value <= BigInt(sequence.max));
      const { destination } = shareOut(sequence, state, waitedFor);
      const going = counterOf(one, destination).take(20);
      assert.deepEqual([...own, ...going], counterOf(one, state).take(own.length + going.length));
      // An uncalled sequence cannot be prevented from handing out one value; it is one that the source never has.
      assert.ok(left.length - own.length <= (state.called ? 0 : 1));
    });
  });

  it("continues exactly where it was if nobody is waiting", () => {
    check((one) => {
      const { sequence, state } = one;
      const { destination } = shareOut(sequence, state, false);
      const up = BigInt(sequence.increment) > 0n;
      const beyond = BigInt(up ? sequence.min : sequence.max) - BigInt(sequence.increment);
      const isRoom = beyond >= BIGINT.lowest && beyond <= BIGINT.highest;
      // Only at the very end of bigint does an uncalled one leave its first value to the old copy.
      if (state.called || isRoom) assert.deepEqual(destination, state);
      else assert.deepEqual(destination, { ...state, called: true });
    });
  });

  it("leaves the old copy at most a thousandth of its values, and at most ten thousand, however many are waiting", () => {
    check((one) => {
      const { sequence, state } = one;
      const { destination } = shareOut(sequence, state, true);
      const given = (BigInt(destination.value) - BigInt(state.value)) / BigInt(sequence.increment);
      const end = BigInt(BigInt(sequence.increment) > 0n ? sequence.max : sequence.min);
      const left = (end - BigInt(state.value)) / BigInt(sequence.increment);
      assert.ok(0n <= given && given <= 10_000n && given * 1000n <= left);
      const within = BigInt(destination.value);
      assert.ok(BigInt(sequence.min) <= within && within <= BigInt(sequence.max), "setval() takes it");
    });
  });
});
