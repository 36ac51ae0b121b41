import type { IslandName } from "../../contract/names.ts";
import { duration } from "../../src/format.ts";
import { LagClock, readStanding } from "../../src/postgres/replication/lag.ts";
import type { ActivityAttempt } from "./attempt.ts";

/** Milliseconds between two looks at the replicas. */
const EVERY_MS = 2000;

/** Looks from time to time whether physical replicas lag, for a step that burdens its islands. */
export class LagWatch {
  readonly #clocks: readonly (readonly [IslandName, LagClock])[];
  #lookedAt = -Infinity;
  #reason: string | undefined;

  constructor(
    private readonly attempt: ActivityAttempt,
    islands: readonly IslandName[],
    private readonly limitSec: number,
  ) {
    this.#clocks = islands.map((island) => [island, new LagClock()]);
  }

  /** Returns which replicas are behind by more than the limit. */
  async look(): Promise<string | undefined> {
    if (performance.now() - this.#lookedAt < EVERY_MS) return this.#reason;
    this.#lookedAt = performance.now();
    const behind = await Promise.all(this.#clocks.map((one) => this.#behind(one)));
    const list = behind.flat().join(", ");
    this.#reason = list === "" ? undefined : `replication lag of at most ${this.limitSec} s: ${list}`;
    return this.#reason;
  }

  async #behind([island, clock]: readonly [IslandName, LagClock]): Promise<string[]> {
    const { position, replicas } = await this.attempt.deps.islands.withLook(island, readStanding);
    clock.note(position);
    return replicas.flatMap(({ name, reached }) => {
      const { seconds } = clock.lagOf(reached);
      return seconds > this.limitSec ? [`${name} ${duration(1000 * seconds)}`] : [];
    });
  }
}
