/** What is in the database under the reference of a write. */
export interface Entry {
  reference: string;
  /** The highest counter of updates. */
  updates: number;
  rows: number;
}

/** The books against the database. */
export interface Balance {
  /** Writes that were acknowledged. */
  acknowledged: number;
  /** References whose acknowledged writes are not in the database. */
  lost: number;
  /** References that are there more often, or were updated more often, than was acknowledged. */
  doubled: number;
  /** Errors that reached the application, other than "the shard is elsewhere". */
  failures: string[];
}

/**
 * The oracle of every move under load: an application writes down what the database acknowledged, and compares that
 * with what is there at the end.
 */
export class Books {
  readonly failures: string[] = [];
  /** By reference: how many updates were acknowledged. */
  readonly #updates = new Map<string, number>();
  #acknowledged = 0;
  #lastAt = performance.now();
  #longestGapMs = 0;

  /** Writes acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Whether the insert of a reference was acknowledged. */
  has(reference: string): boolean {
    return this.#updates.has(reference);
  }

  /** Notes that a row with so many updates was acknowledged. */
  acknowledge(reference: string, updates: number): void {
    this.#updates.set(reference, updates);
    this.#acknowledged++;
    const now = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAt);
    this.#lastAt = now;
  }

  /** Begins to measure gaps anew. */
  restartClock(): void {
    this.#lastAt = performance.now();
    this.#longestGapMs = 0;
  }

  /** Milliseconds of the longest time without an acknowledged write. */
  get longestGapMs(): number {
    return this.#longestGapMs;
  }

  /** The same since the last call, the time since the last write included. */
  takeLongestGapMs(): number {
    const gap = Math.max(this.#longestGapMs, performance.now() - this.#lastAt);
    this.#longestGapMs = 0;
    return gap;
  }

  /** Compares the books with the database. */
  balance(entries: readonly Entry[]): Balance {
    const found = new Map(entries.map((entry) => [entry.reference, entry.updates]));
    const lost = [...this.#updates].filter(([reference, updates]) => (found.get(reference) ?? -1) < updates);
    // A write that nobody has heard of again may be there, or not; more than that is one too many.
    const doubled = entries.filter(
      ({ reference, updates, rows }) => rows > 1 || updates > (this.#updates.get(reference) ?? 0),
    );
    return {
      acknowledged: this.#acknowledged,
      lost: lost.length,
      doubled: doubled.length,
      failures: this.failures,
    };
  }
}

/** How many entries of an old copy are not in the current one: written where nobody looks for them. */
export function countStray(
  old: readonly Omit<Entry, "rows">[],
  current: readonly Omit<Entry, "rows">[],
): number {
  const known = new Map(current.map(({ reference, updates }) => [reference, updates]));
  return old.filter(({ reference, updates }) => (known.get(reference) ?? -1) < updates).length;
}
