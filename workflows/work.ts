/**
 * What a move or copy has to do, how far it has come, and how long the rest will take. All percentages and all times left
 * come from here. Work is counted in bytes: those of the shard, plus as many as could be copied in the time that
 * everything else takes. It stands here because the workflows use it, too, and load nothing from src/.
 */
import type { Preflight } from "../contract/move.ts";
import type { Reached, StepProgress } from "../contract/progress.ts";
import type { StepName } from "../contract/story.ts";

const MIB = 1 << 20;

/** The work of a move of an empty shard, by step, in their order: slot, subscription, switch. Waits are not work. */
const OF_AN_EMPTY_MOVE = {
  preflight: 6 * MIB,
  "create structure": 5 * MIB,
  subscribe: 2 * MIB,
  tablesync: 5 * MIB,
  "build indexes": 4 * MIB,
  analyze: 2 * MIB,
  verify: 2 * MIB,
  "lock and switch": 4 * MIB,
  "clean up": 4 * MIB,
} satisfies Partial<Record<StepName, number>>;

/** The steps that are work, and how much each has to do. */
export type Work = Readonly<Record<keyof typeof OF_AN_EMPTY_MOVE, number>>;

const EMPTY_MOVE = Object.values(OF_AN_EMPTY_MOVE).reduce((sum, bytes) => sum + bytes, 0);

/** The work of a move of which only the size is known. */
export const effortOf = ({ bytes }: { bytes: number }): number => bytes + EMPTY_MOVE;

/** VACUUM reads everything that tablesync has copied, but writes little; ANALYZE only takes samples. */
const VACUUM_SHARE = 0.2;

/** Both sides are read at once, and only sums are sent. */
const VERIFY_SHARE = 0.5;

/** The work of a move, by step: indexes count by their size on the source. */
export function workOf({
  bytes,
  sizeBytes = bytes,
  copyMethod,
}: Pick<Preflight, "bytes" | "sizeBytes" | "copyMethod">): Work {
  return {
    ...OF_AN_EMPTY_MOVE,
    tablesync: OF_AN_EMPTY_MOVE.tablesync + bytes,
    "build indexes": OF_AN_EMPTY_MOVE["build indexes"] + Math.max(0, sizeBytes - bytes),
    verify: OF_AN_EMPTY_MOVE.verify + VERIFY_SHARE * bytes,
    analyze: OF_AN_EMPTY_MOVE.analyze + (copyMethod === "tablesync" ? VACUUM_SHARE * bytes : 0),
  };
}

/**
 * Returns the share of all work that is done, from 0 to 1, when a share of one step is; null for a step that is not work.
 */
export function shareDone(work: Work, step: StepName, shareOfStep = 0): number | null {
  if (!(step in work)) return null;
  const steps = Object.entries(work);
  const at = steps.findIndex(([name]) => name === step);
  const before = sumOf(steps.slice(0, at));
  return (before + steps[at]![1] * within(shareOfStep)) / sumOf(steps);
}

/** A share of the work as a percentage with one decimal, which is never 0 once anything is done, nor 100 before the end. */
export const percentOf = (share: number): number =>
  share <= 0 ? 0 : Math.min(99.9, Math.max(0.1, Math.floor(1000 * share) / 10));

const sumOf = (steps: readonly (readonly [string, number])[]): number =>
  steps.reduce((sum, [, bytes]) => sum + bytes, 0);

const within = (share: number): number => Math.min(1, Math.max(0, share));

/** Milliseconds by which a pace is measured: long enough for a smooth number, short enough to follow a slower disk. */
const PACE_MS = 30_000;
/** Milliseconds before which a pace is a guess. */
const FIRST_PACE_MS = 1000;

/** How fast a number has been growing lately. */
export class Pace {
  #looks: { at: number; value: number }[] = [];

  /** Records the number at a given time. */
  note(value: number, at: number): void {
    this.#looks.push({ at, value });
    const old = this.#looks.findLastIndex((look) => look.at <= at - PACE_MS);
    if (old > 0) this.#looks.splice(0, old);
  }

  /** By how much it grows in a second; undefined while that is not known. */
  get perSecond(): number | undefined {
    const [first, last] = [this.#looks[0], this.#looks.at(-1)];
    if (!first || !last || last.at - first.at < FIRST_PACE_MS) return undefined;
    return Math.max(0, (1000 * (last.value - first.value)) / (last.at - first.at));
  }

  /** Seconds until it reaches a value; undefined while that is not known. */
  secondsUntil(value: number): number | undefined {
    const { perSecond } = this;
    const last = this.#looks.at(-1);
    return perSecond && last ? Math.max(0, Math.round((value - last.value) / perSecond)) : undefined;
  }
}

/** The progress of one attempt of a step within a move. */
export class Course {
  readonly #work: Work;
  readonly #pace = new Pace();
  #share = 0;

  constructor(plan: Parameters<typeof workOf>[0]) {
    this.#work = workOf(plan);
  }

  /**
   * Returns how far the whole move has come, by the percentage of a step that is done; null if it has none.
   *
   * @param before what an earlier look or attempt has reached, which counts until it is passed.
   */
  reached(
    step: StepName,
    { percent, tuples, bytes }: Pick<StepProgress, "percent" | "tuples" | "bytes">,
    before: Reached | undefined,
    at: number,
  ): Reached | null {
    const share = percent === undefined ? null : shareDone(this.#work, step, percent / 100);
    if (share === null) return null;
    this.#share = Math.max(this.#share, share);
    this.#pace.note(this.#share, at);
    return {
      percent: Math.max(percentOf(this.#share), before?.percent ?? 0),
      secondsLeft: this.#pace.secondsUntil(1),
      rows: tuples ?? before?.rows,
      copiedBytes: bytes ?? before?.copiedBytes,
    };
  }
}
