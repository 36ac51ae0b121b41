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

/** How far a table has been compared; `after` is null if a further attempt has to begin anew. */
interface Open {
  after: Key | null;
  rows: number;
}

/**
 * The tables that have to be compared, in what order, and which of them are done: the state travels in the heartbeats, so
 * that the next attempt continues where this one stopped.
 */
export class WorkList<T extends Item> {
  readonly #groups: T[][];
  readonly #done: Uint8Array;
  readonly #open: Map<string, Open>;
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
    this.#open = new Map(fits ? state.open.map(([table, after, rows]) => [table, { after, rows }]) : []);
    this.#rows = fits ? state.rows : 0;
  }

  get state(): VerifyState {
    const tables = this.#groups.reduce((sum, group) => sum + group.length, 0);
    const done = Buffer.from(this.#done).toString("base64");
    const open = [...this.#open].flatMap(([table, { after, rows }]): VerifyState["open"] =>
      after === null || JSON.stringify(after).length > LONGEST_KEY ? [] : [[table, after, rows]],
    );
    return { tables, done, rows: this.#rows, open };
  }

  /** Rows that have been compared so far. */
  get rows(): number {
    return [...this.#open.values()].reduce((sum, { rows }) => sum + rows, this.#rows);
  }

  /** What is left: groups of tables with the number of each, the largest first. */
  *pending(): Generator<{ index: number; tables: readonly T[] }> {
    const size = (group: readonly T[]): number => group.reduce((sum, { bytes }) => sum + bytes, 0);
    const groups = this.#groups.map((tables, index) => ({ index, tables, bytes: size(tables) }));
    for (const { index, tables } of groups.sort((a, b) => b.bytes - a.bytes))
      if (!(this.#done[index >> 3]! & (1 << (index & 7)))) yield { index, tables };
  }

  /** Where an earlier attempt stopped in a table. */
  after(table: string): Key | null {
    return this.#open.get(table)?.after ?? null;
  }

  /** To be called after each range; without an end, a further attempt begins this table anew. */
  compared(table: string, rows: number, end: Key | null): void {
    this.#open.set(table, { after: end, rows: (this.#open.get(table)?.rows ?? 0) + rows });
  }

  /** To be called when all tables of a group have been compared, and nothing of them is left. */
  finished(index: number): void {
    this.#done[index >> 3]! |= 1 << (index & 7);
    for (const { name } of this.#groups[index]!) {
      this.#rows += this.#open.get(name)?.rows ?? 0;
      this.#open.delete(name);
    }
  }
}
