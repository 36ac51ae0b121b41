import type { BlockedSoFar, InTheWay } from "../../../contract/progress.ts";
import type { ActivityAttempt } from "../../attempt/attempt.ts";

/** After this time, PostgreSQL has ended the session of a worker that vanished under the lock; see VANISHING_HOLDER. */
const VANISHED_MS = 5000;

/** The period to which the budget of blocked time applies. */
const BUDGET_MINUTES = 10;
const MINUTE_MS = 60_000;

/** Ended sessions that are reported; heartbeats have to stay small. */
const ENDED_KEPT = 8;
const BLOCKERS_KEPT = 8;
const IN_THE_WAY_KEPT = 4;

const NONE: BlockedSoFar = { attempts: 0, longestMs: 0, totalMs: 0, atMost: false };

/** Milliseconds since the epoch, by a clock that nobody can set back. */
const now = (): number => performance.timeOrigin + performance.now();

/**
 * For how long the switch has kept writers waiting. An attempt counts from the request for the lock, behind which writers
 * queue at once, until they can write again: the release of the lock, or, once the source has left, the arrival on the
 * destination. The sums travel in the heartbeats, so that the next attempt of the activity continues with them.
 */
export class BlockedTime {
  readonly #attempt: ActivityAttempt;
  readonly #maxWriteBlockMs: number;
  #soFar: BlockedSoFar;

  constructor(attempt: ActivityAttempt, maxWriteBlockMs: number, before?: BlockedSoFar) {
    this.#attempt = attempt;
    this.#maxWriteBlockMs = maxWriteBlockMs;
    this.#soFar = before ?? attempt.lastBeat.blocked ?? NONE;
    this.#keep();
  }

  get soFar(): BlockedSoFar {
    return this.#soFar;
  }

  /**
   * Reports to Temporal, without the delay of a heartbeat, that an attempt begins: if this worker dies in it, the next one
   * counts it. Also asks whether this attempt of the activity is still the current one.
   */
  async announce(): Promise<void> {
    this.requested();
    // A heartbeat that the SDK still holds back must not replace it later.
    this.#attempt.beat(this.#attempt.lastBeat);
    let begins = false;
    try {
      const { cancelled } = await this.#attempt.ensureCurrent();
      if (cancelled) await this.#attempt.awaitCancellation();
      begins = true;
    } finally {
      if (!begins) this.#set({ since: undefined });
    }
  }

  /** To be called right before the lock is requested. */
  requested(): void {
    this.#set({ since: now() });
  }

  /** To be called when writers can write again; returns the milliseconds of this attempt. */
  released(): number {
    return this.#add(Infinity, false);
  }

  /**
   * Counts an attempt whose end nobody has seen, now that it is certain to be over. If the source has not left, its session
   * lived no longer than `--max-write-block-ms` and the time after which the server ends it.
   */
  lost({ left }: { left: boolean }): number {
    const limit = this.#maxWriteBlockMs + VANISHED_MS;
    // The source has left, so there was an attempt, even if no heartbeat has told of it.
    if (left && this.#soFar.attempts === 0 && this.#soFar.since === undefined)
      this.#set({ since: now() - limit });
    return this.#add(left ? Infinity : limit, true);
  }

  /** Milliseconds until enough of the budget is free again for the next attempt; 0 if it may begin at once. */
  budgetWaitMs(budgetMs: number): number {
    const spent = this.#recent();
    let sum = spent.reduce((all, [, ms]) => all + ms, 0);
    let begin = 0;
    for (const [minute, ms] of spent) {
      if (sum < budgetMs) break;
      sum -= ms;
      begin = (minute + BUDGET_MINUTES + 1) * MINUTE_MS;
    }
    return Math.max(0, begin - now());
  }

  /** What counts for the budget, the oldest first. */
  #recent(): [minute: number, ms: number][] {
    const oldest = Math.floor(now() / MINUTE_MS) - BUDGET_MINUTES;
    return (this.#soFar.recent ?? []).filter(([minute]) => minute >= oldest);
  }

  /** Notes since when which transactions block, so that the next attempt of the activity knows it. */
  blockedBy(blockers: Record<string, number>): void {
    this.#set({ blockers: Object.fromEntries(Object.entries(blockers).slice(0, BLOCKERS_KEPT)) });
  }

  /** Notes who was in the way of an attempt. */
  met({ who, statement }: InTheWay): void {
    const before = (this.#soFar.inTheWay ?? []).filter((other) => other.who !== who);
    this.#set({ inTheWay: [...before, { who, statement }].slice(-IN_THE_WAY_KEPT) });
  }

  /** Notes that a session was ended because it blocked. */
  ended(text: string): void {
    this.#set({ endedBlockers: [...(this.#soFar.endedBlockers ?? []), text].slice(-ENDED_KEPT) });
  }

  /** Counts an attempt that was finished by another one: until now the shard was active nowhere. */
  finished(): void {
    this.#add(Infinity, true);
  }

  #add(limit: number, atMost: boolean): number {
    const { since, attempts, longestMs, totalMs, ...rest } = this.#soFar;
    if (since === undefined) return 0;
    // The clock of the worker that began it may be ahead.
    const ms = Math.round(Math.min(Math.max(now() - since, 0), limit));
    const minute = Math.floor(now() / MINUTE_MS);
    const recent = this.#recent();
    const last = recent.at(-1);
    if (last?.[0] === minute) recent.splice(-1, 1, [minute, last[1] + ms]);
    else recent.push([minute, ms]);
    this.#set({
      ...rest,
      recent,
      attempts: attempts + 1,
      longestMs: Math.max(longestMs, ms),
      totalMs: totalMs + ms,
      atMost: rest.atMost || atMost,
      since: undefined,
    });
    // A failure that follows carries the last heartbeat, which shows an attempt that has begun and not ended.
    this.#attempt.beat(this.#attempt.lastBeat);
    return ms;
  }

  #set(part: Partial<BlockedSoFar>): void {
    this.#soFar = { ...this.#soFar, ...part };
    this.#keep();
  }

  #keep(): void {
    this.#attempt.keep({ blocked: this.#soFar });
  }
}
