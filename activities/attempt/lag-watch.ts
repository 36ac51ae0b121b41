import type { IslandName } from "../../contract/names.ts";
import type { ReplicaLag } from "../../contract/progress.ts";
import { duration } from "../../src/format.ts";
import { type Lag, LagClock, readStanding, type Standing } from "../../src/postgres/replication/lag.ts";
import type { ActivityAttempt } from "./attempt.ts";

/** Milliseconds between two looks at the replicas. */
const EVERY_MS = 2000;

/** A replica, or a subscription, and how far it is behind. */
export type Follower = ReplicaLag & Lag;

/** Notes the position of an island, and tells how far its replicas are behind. */
export function followersOf(
  island: IslandName,
  clock: LagClock,
  { position, replicas }: Standing,
): Follower[] {
  clock.note(position);
  return replicas.map(({ name, reached }) => ({ island, replica: name, ...clock.lagOf(reached) }));
}

/** Says what is waited for while some followers are too far behind. */
export function waitingForLag(behind: readonly Follower[], limitSec: number): string {
  const list = behind.map(
    ({ replica, seconds, known }) => `${replica} ${known ? "" : "more than "}${duration(1000 * seconds)}`,
  );
  return `replication lag of at most ${limitSec} s: ${list.join(", ")}`;
}

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
    this.#reason = behind.flat().length > 0 ? waitingForLag(behind.flat(), this.limitSec) : undefined;
    return this.#reason;
  }

  async #behind([island, clock]: readonly [IslandName, LagClock]): Promise<Follower[]> {
    const standing = await this.attempt.deps.islands.withLook(island, readStanding);
    return followersOf(island, clock, standing).filter(({ seconds }) => seconds > this.limitSec);
  }
}
