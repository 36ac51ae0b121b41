import type pg from "pg";

import type { IslandName } from "../../contract/names.ts";
import type { StepProgress } from "../../contract/progress.ts";
import type { ChangingRows, CompareReport, RowDifference } from "../../contract/verify.ts";
import { allEnd } from "../../src/all-end.ts";
import { bytes, count, duration, plural } from "../../src/format.ts";
import { compareTable } from "../../src/verify/compare-table.ts";
import { MOST_DIFFERENCES } from "../../src/verify/difference.ts";
import { type PairedTable, readPairs } from "../../src/verify/pairs.ts";
import { sidesOf } from "../../src/verify/sides.ts";
import { findOperators } from "../../src/verify/tables.ts";
import { WorkList } from "../../src/verify/work-list.ts";
import type { ActivityAttempt } from "../attempt/attempt.ts";
import { inLanes, lanesFor } from "../attempt/lanes.ts";

/** Milliseconds between two looks at lagging replicas. */
const LAG_MS = 1000;

/** One side of a comparison. */
interface ComparedPlace {
  island: IslandName;
  schema: string;
}

/** How two schemas are related, and how their islands are reached. */
export interface Compared {
  attempt: ActivityAttempt;
  source: ComparedPlace;
  destination: ComparedPlace;
  /** Whether a table is to be compared. */
  wanted: (table: string) => boolean;
  /** Lends sessions with the settings COMPARING, under a name that belongs to this run. */
  bothSides: <T>(use: (source: pg.Client, destination: pg.Client) => Promise<T>) => Promise<T>;
  /** ActivityAttempt.watched on the source, for sessions of that name. */
  watched: (
    look: () => Promise<StepProgress>,
    work: (onBackend: (client: pg.Client) => void) => Promise<void>,
  ) => Promise<void>;
  /**
   * Waits until the destination has applied everything that has been committed on the source so far.
   *
   * @param waiting called while it does, with what is being waited for.
   */
  caughtUp: (source: pg.Client, destination: pg.Client, waiting: (reason: string) => void) => Promise<void>;
  /** Which physical replicas are too far behind, if any. */
  lagging: () => Promise<string | undefined>;
}

/** Compares every row of two schemas while both change. Continues where an earlier attempt stopped. */
export class Comparison {
  readonly #of: Compared;
  readonly #differences: RowDifference[] = [];
  readonly #changing: ChangingRows[] = [];
  readonly #begun = performance.now();
  #ranges = 0;
  #waitingFor: string | undefined;

  constructor(of: Compared) {
    this.#of = of;
  }

  async run(): Promise<CompareReport> {
    const { attempt, source, destination, wanted, bothSides, watched } = this.#of;
    const tables = await bothSides((here, there) =>
      attempt.reading(source.island, () =>
        readPairs({ client: here, ...source }, { client: there, ...destination }, wanted),
      ),
    );
    const size = tables.reduce((sum, table) => sum + table.bytes, 0);
    const expected = tables.reduce((sum, table) => sum + table.source.estimatedRows, 0);
    const work = new WorkList(tables, attempt.lastBeat.verified);
    await watched(
      () => Promise.resolve(this.#progress(work, expected)),
      (onBackend) =>
        inLanes(lanesFor(tables.length, size), work.pending(), (queue) =>
          bothSides((here, there) => {
            onBackend(here);
            return this.#lane(work, queue, here, there);
          }),
        ),
    );
    return this.#report(tables.length, work.rows, size);
  }

  async #lane(
    work: WorkList<PairedTable>,
    queue: Iterable<{ index: number; tables: readonly PairedTable[] }>,
    source: pg.Client,
    destination: pg.Client,
  ): Promise<void> {
    const { attempt, source: here, destination: there } = this.#of;
    await attempt.ensureCurrent();
    await allEnd([findOperators(source, here.schema), findOperators(destination, there.schema)]);
    for (const { index, tables } of queue) {
      let settled = true;
      for (const pair of tables) if (!(await this.#compare(work, pair, source, destination))) settled = false;
      if (settled) work.finished(index);
      if (this.#differences.length >= MOST_DIFFERENCES) return;
    }
  }

  /** Compares one table; false if some of its rows differ or changed all the time. */
  async #compare(
    work: WorkList<PairedTable>,
    pair: PairedTable,
    source: pg.Client,
    destination: pg.Client,
  ): Promise<boolean> {
    const sides = sidesOf(pair, source, destination, async () => {
      await this.#of.caughtUp(source, destination, (reason) => (this.#waitingFor = reason));
      this.#waitingFor = undefined;
    });
    const watch = {
      before: () => this.#before(),
      compared: (rows: number, end: readonly string[] | null) => work.compared(pair.name, rows, end),
    };
    const { differences, changing } = await compareTable(sides, watch, work.after(pair.name));
    this.#differences.push(...differences);
    if (changing) this.#changing.push(changing);
    return differences.length === 0 && changing === null;
  }

  /** Before each range: waits while physical replicas lag. */
  async #before(): Promise<void> {
    const { attempt, lagging } = this.#of;
    await attempt.deps.fault(`before range ${++this.#ranges}`);
    for (;;) {
      attempt.throwIfCancelled();
      this.#waitingFor = await lagging();
      if (this.#waitingFor === undefined) return;
      await attempt.pause(LAG_MS);
    }
  }

  #progress({ state, rows }: WorkList<PairedTable>, expected: number): StepProgress {
    const found = this.#differences.length > 0 ? `; ${differ(this.#differences)}` : "";
    return {
      note: `compared ${count(rows)} rows${found}`,
      waitingFor: this.#waitingFor,
      // The number of rows is the planner's estimate.
      percent: expected > 0 ? Math.min(99, (100 * rows) / expected) : 0,
      verified: state,
    };
  }

  #report(tables: number, rows: number, size: number): CompareReport {
    const differences = this.#differences.slice(0, MOST_DIFFERENCES);
    const ms = performance.now() - this.#begun;
    const what = `${plural(tables, "table")}, ${plural(rows, "row")}, ${bytes(size)} in ${duration(ms)}`;
    const changing =
      this.#changing.length > 0
        ? `; rows of ${this.#changing.map(({ table }) => `"${table}"`).join(", ")} changed whenever they were read`
        : "";
    return {
      text: `${differences.length === 0 ? "every row is the same" : differ(differences)}: ${what}${changing}`,
      tables,
      rows,
      bytes: size,
      differences,
      more: this.#differences.length >= MOST_DIFFERENCES,
      changing: this.#changing,
    };
  }
}

const differ = (differences: readonly RowDifference[]): string =>
  plural(differences.length, "row differs", "rows differ");
