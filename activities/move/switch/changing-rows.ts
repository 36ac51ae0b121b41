import type pg from "pg";

import type { ChangingRows, RowDifference } from "../../../contract/verify.ts";
import { allEnd } from "../../../src/all-end.ts";
import { hasSqlstate, SQLSTATE } from "../../../src/postgres/errors/sqlstate.ts";
import { waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { differingKeys, settleKeys } from "../../../src/verify/compare-keys.ts";
import { compareMultisets } from "../../../src/verify/compare-multisets.ts";
import { describeDifferences } from "../../../src/verify/describe.ts";
import { readDifferences } from "../../../src/verify/difference.ts";
import { type PairedTable, readPairs } from "../../../src/verify/pairs.ts";
import { COMPARING, sidesOf } from "../../../src/verify/sides.ts";
import { catchUpWith } from "../parts/caught-up.ts";
import { DiffersError } from "../parts/differs.ts";
import type { MoveStep } from "../parts/step.ts";

/** Compares, under the lock, the rows that changed whenever they were compared before. */
export class ChangingRowsComparison {
  private constructor(
    private readonly step: MoveStep,
    private readonly source: pg.Client,
    private readonly destination: pg.Client,
    private work: { pair: PairedTable; keys: ChangingRows["keys"] }[],
  ) {}

  /** Opens its sessions and reads what has to be known, before the lock; null if there is nothing to compare. */
  static async with<T>(
    step: MoveStep,
    changing: readonly ChangingRows[],
    use: (comparison: ChangingRowsComparison | null) => Promise<T>,
  ): Promise<T> {
    if (changing.length === 0) return use(null);
    return step.bothSides(COMPARING, COMPARING, async (source, destination) => {
      const wanted = new Map(changing.map(({ table, keys }) => [table, keys]));
      const pairs = await step.attempt.reading(step.from, () =>
        readPairs(
          { client: source, island: step.from, schema: step.schema },
          { client: destination, island: step.to, schema: step.schema },
          (table) => wanted.has(table),
        ),
      );
      const work = pairs.map((pair) => ({ pair, keys: wanted.get(pair.name) ?? null }));
      return use(new ChangingRowsComparison(step, source, destination, work));
    });
  }

  /** Compares them again before the lock: what is the same by now need not be compared under it. */
  async narrow(): Promise<void> {
    const { step, source, destination } = this;
    const left: typeof this.work = [];
    for (const { pair, keys } of this.work) {
      const { all, keyed } = sidesOf(pair, source, destination, () => catchUpWith(step, source, destination));
      if (keys !== null && keyed !== null) {
        const { different, changing } = await settleKeys(keyed, keys);
        this.#refuse(await readDifferences(keyed, different));
        if (changing.length > 0) left.push({ pair, keys: changing });
      } else {
        const { differences, changing } = await compareMultisets(all, () => Promise.resolve());
        this.#refuse(differences);
        if (changing.length > 0) left.push({ pair, keys: null });
      }
      step.attempt.throwIfCancelled();
    }
    this.work = left;
  }

  /**
   * Compares under the lock: waits until the destination has applied everything up to a position of the source, where
   * nothing changes any more. False if that takes longer than the given milliseconds; throws if rows differ.
   */
  async run(position: string, ms: number): Promise<boolean> {
    if (this.work.length === 0) return true;
    const { step, source, destination } = this;
    const until = Date.now() + ms;
    const late = (): boolean => Date.now() >= until;
    await allEnd(
      [source, destination].map((client) =>
        client.query(`SET statement_timeout = ${Math.max(1, Math.round(ms))}`),
      ),
    );
    try {
      if (!(await waitUntilApplied(destination, step.replicationName, position, ms))) return false;
      for (const { pair, keys } of this.work) {
        if (late()) return false;
        const { all, keyed } = sidesOf(pair, source, destination, () => Promise.resolve());
        if (keys !== null && keyed !== null) {
          this.#refuse(await readDifferences(keyed, await differingKeys(keyed, keys)));
          continue;
        }
        const { differences, changing } = await compareMultisets(all, () =>
          late() ? Promise.reject(new LateError()) : Promise.resolve(),
        );
        this.#refuse(differences);
        if (changing.length > 0) return false;
      }
      return true;
    } catch (error) {
      if (error instanceof LateError || hasSqlstate(error, SQLSTATE.queryCanceled)) return false;
      throw error;
    }
  }

  #refuse(differences: readonly RowDifference[]): void {
    if (differences.length > 0) throw new DiffersError(this.step, describeDifferences(differences, false));
  }
}

/** The time under the lock is over. */
class LateError extends Error {}
