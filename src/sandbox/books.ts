/** What the database has under the reference of a write. */
export interface Entry {
  reference: string;
  /** The highest counter of updates. */
  updates: number;
  rows: number;
}

/** The books compared with the database. */
export interface Balance {
  /** Writes that were acknowledged. */
  acknowledged: number;
  /** References whose acknowledged writes are not in the database. */
  lost: number;
  /** References with more rows or updates than were acknowledged. */
  doubled: number;
  /** Errors that reached the application, except "the shard is elsewhere". */
  failures: string[];
}

/**
 * The oracle of every move under load: an application records what the database has acknowledged, and compares that with
 * the rows at the end.
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

  /** Returns whether the insert of a reference was acknowledged. */
  has(reference: string): boolean {
    return this.#updates.has(reference);
  }

  /** Records that a row with this number of updates was acknowledged. */
  acknowledge(reference: string, updates: number): void {
    this.#updates.set(reference, updates);
    this.#acknowledged++;
    const now = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAt);
    this.#lastAt = now;
  }

  /** Restarts the measurement of gaps. */
  restartClock(): void {
    this.#lastAt = performance.now();
    this.#longestGapMs = 0;
  }

  /** Milliseconds of the longest time without an acknowledged write. */
  get longestGapMs(): number {
    return this.#longestGapMs;
  }

  /** The same since the last call, including the time since the last write. */
  takeLongestGapMs(): number {
    const gap = Math.max(this.#longestGapMs, performance.now() - this.#lastAt);
    this.#longestGapMs = 0;
    return gap;
  }

  /** Compares the books with the database. */
  balance(entries: readonly Entry[]): Balance {
    const found = new Map(entries.map((entry) => [entry.reference, entry.updates]));
    const lost = [...this.#updates].filter(([reference, updates]) => (found.get(reference) ?? -1) < updates);
    // A write without an acknowledgement may or may not be in the database; anything beyond that is doubled.
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

/** Counts the entries of an old copy that are missing from the current one: written where nobody would find them. */
export function countStray(
  old: readonly Omit<Entry, "rows">[],
  current: readonly Omit<Entry, "rows">[],
): number {
  const known = new Map(current.map(({ reference, updates }) => [reference, updates]));
  return old.filter(({ reference, updates }) => (known.get(reference) ?? -1) < updates).length;
}
