import type { CopyReport } from "../../../contract/move.ts";
import type { StepProgress } from "../../../contract/progress.ts";
import { bytes } from "../../../src/format.ts";
import type { Table } from "../../../src/postgres/schema/tables.ts";
import { Pace } from "../../../workflows/work.ts";

/** What a copy has done, by either method. */
export type Copied = Omit<CopyReport, "replicasBehind">;

export const copied = (rows: number, size: number): string => `copied ${rows} rows, ${bytes(size)}`;

/** Counters of the COPY of one table. */
export interface Counters {
  rows: number;
  /** Of the COPY stream. */
  bytes: number;
}

/** How far one table has come. */
interface Part extends Counters {
  readonly table: Table;
  ended: boolean;
}

/** What a table costs in any case, so that many empty ones count, too. */
const BYTES_OF_A_TABLE = 1 << 16;
/** The most that counts of a table whose COPY has not ended: its estimates may be too low. */
const ALMOST = 0.99;

/** Counts what has been copied, table by table, and turns it into numbers for the live view. */
export class CopyProgress {
  readonly #parts: ReadonlyMap<string, Part>;
  readonly #pace = new Pace();

  constructor(tables: readonly Table[]) {
    this.#parts = new Map(
      tables.map((table) => [table.name, { table, rows: 0, bytes: 0, ended: table.kind === "p" }]),
    );
  }

  /** The counters of a table, for a copy that counts by itself. */
  of(table: Pick<Table, "name">): Part {
    return this.#parts.get(table.name)!;
  }

  /** Records the counters of a table whose COPY is running. They fall when it starts over; then the highest ones stay. */
  running(name: string, { rows, bytes }: Counters): void {
    const part = this.#parts.get(name);
    if (!part) return;
    if (rows >= part.rows) Object.assign(part, { rows, bytes });
  }

  /** Records the rows of a table whose COPY has ended. The stream counts as longer than seen in proportion to the rows. */
  ended(name: string, present: number): void {
    const part = this.#parts.get(name);
    if (!part) return;
    // Statistics arrive late.
    const rows = Math.max(present, part.rows);
    const perRow = part.rows > 0 ? part.bytes / part.rows : part.table.bytes / Math.max(1, rows);
    Object.assign(part, { rows, bytes: Math.round(perRow * rows), ended: true });
  }

  get rows(): number {
    return this.#sum(({ rows }) => rows);
  }

  get bytes(): number {
    return this.#sum((part) => part.bytes);
  }

  /** The numbers of this moment. */
  look(): StepProgress {
    const { rows, bytes: size } = this;
    this.#pace.note(size, Date.now());
    const { perSecond } = this.#pace;
    const estimate = this.#sum(({ table }) => table.estimatedRows);
    const whole = this.#sum(weightOf);
    return {
      tuples: rows,
      tuplesTotal: rows > estimate ? undefined : estimate,
      bytes: size,
      bytesPerSec: perSecond && Math.round(perSecond),
      percent: whole === 0 ? 100 : (100 * this.#sum((part) => weightOf(part) * shareOf(part))) / whole,
    };
  }

  #sum(of: (part: Part) => number): number {
    let sum = 0;
    for (const part of this.#parts.values()) sum += of(part);
    return sum;
  }
}

const weightOf = ({ table }: Part): number => table.bytes + BYTES_OF_A_TABLE;

/** By rows, since a stream may be much longer or shorter than the table; by bytes where nobody knows the rows. */
function shareOf({ table, rows, bytes: copiedBytes, ended }: Part): number {
  if (ended) return 1;
  const share =
    table.estimatedRows > 0
      ? rows / table.estimatedRows
      : copiedBytes / Math.max(table.bytes, BYTES_OF_A_TABLE);
  return Math.min(ALMOST, share);
}
