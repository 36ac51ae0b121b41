import type { Key } from "./sql.ts";

/** Milliseconds that the comparison of a range should take: short transactions, and few round trips. */
const AIM_MS = 300;
/** The keys and hashes of a range that differs are read into this process. */
const MOST_ROWS = 50_000;
/** Bytes of the first range. */
const FIRST_BYTES = 4 << 20;

export interface PaceOptions {
  /** As far as known. */
  bytesPerRow: number;
  /** The largest number of rows in a range. */
  mostRows?: number;
  /** Called before each range; waits or throws if there is a reason for it. */
  before: () => Promise<void>;
  /** Called after each range with its rows and its end, which is null for the last one. */
  onRange: (rows: number, end: Key | null) => void;
}

/** The pace of the comparison of a table: how many rows a range has, and what is called after each. */
export class Pace {
  readonly #options: PaceOptions;
  readonly #most: number;
  #rows: number;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#most = options.mostRows ?? MOST_ROWS;
    this.#rows = this.#limited(FIRST_BYTES / Math.max(options.bytesPerRow, 1));
  }

  /** How many rows the next range should have. */
  get rows(): number {
    return this.#rows;
  }

  before(): Promise<void> {
    return this.#options.before();
  }

  done(rows: number, ms: number, end: Key | null): void {
    this.#options.onRange(rows, end);
    this.#rows = this.#limited(this.#rows * Math.min(2, Math.max(0.25, AIM_MS / Math.max(ms, 1))));
  }

  /** To be called after a timeout; false if the ranges cannot become smaller. */
  tooSlow(): boolean {
    if (this.#rows === 1) return false;
    this.#rows = this.#limited(this.#rows / 4);
    return true;
  }

  #limited(rows: number): number {
    return Math.round(Math.min(this.#most, Math.max(1, rows)));
  }
}
