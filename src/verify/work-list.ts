import type { VerifyState } from "../../contract/progress.ts";
import type { Key } from "./sql.ts";

/** Bits that remember what is done: a heartbeat has to stay small. With more tables, several of them share one. */
const MOST_BITS = 4096;
/** Characters of a key that is remembered; the table of a longer one is compared from its beginning after a crash. */
const LONGEST_KEY = 200;

interface Item {
  name: string;
  bytes: number;
}

/**
 * The tables that have to be compared, in what order, and which of them are done: the state travels in the heartbeats, so
 * that the next attempt goes on where this one has stopped.
 */
export class WorkList<T extends Item> {
  readonly #groups: T[][];
  readonly #done: Uint8Array;
  readonly #open = new Map<string, Key>();
  readonly #before: ReadonlyMap<string, Key>;
  #rows: number;

  /** @param tables in an order that is the same for every attempt. */
  constructor(tables: readonly T[], state?: VerifyState) {
    const size = Math.ceil(tables.length / MOST_BITS) || 1;
    this.#groups = Array.from({ length: Math.ceil(tables.length / size) }, (_, i) =>
      tables.slice(i * size, (i + 1) * size),
    );
    const fits = state?.tables === tables.length;
    this.#done = fits
      ? Uint8Array.from(Buffer.from(state.done, "base64"))
      : new Uint8Array(Math.ceil(this.#groups.length / 8));
    this.#before = new Map(fits ? state.open : []);
    this.#rows = fits ? state.rows : 0;
  }

  get state(): VerifyState {
    const tables = this.#groups.reduce((sum, group) => sum + group.length, 0);
    const done = Buffer.from(this.#done).toString("base64");
    const open = [...this.#open].filter(([, key]) => JSON.stringify(key).length <= LONGEST_KEY);
    return { tables, done, rows: this.#rows, open };
  }

  /** What is left: groups of tables with the number of each, the largest first. */
  *pending(): Generator<{ index: number; tables: readonly T[] }> {
    const size = (group: readonly T[]): number => group.reduce((sum, { bytes }) => sum + bytes, 0);
    const groups = this.#groups.map((tables, index) => ({ index, tables, bytes: size(tables) }));
    for (const { index, tables } of groups.sort((a, b) => b.bytes - a.bytes))
      if (!(this.#done[index >> 3]! & (1 << (index & 7)))) yield { index, tables };
  }

  /** Where an earlier attempt has stopped in a table. */
  after(table: string): Key | null {
    return this.#before.get(table) ?? null;
  }

  /** To be called after each range. */
  compared(table: string, rows: number, end: Key | null): void {
    this.#rows += rows;
    if (end) this.#open.set(table, end);
    else this.#open.delete(table);
  }

  /** To be called when all tables of a group have been compared, and nothing of them is left. */
  finished(index: number): void {
    this.#done[index >> 3]! |= 1 << (index & 7);
  }
}
