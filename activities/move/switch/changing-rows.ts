import type pg from "pg";

import type { ChangingRows } from "../../../contract/move.ts";
import { waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { differingKeys } from "../../../src/verify/compare-keys.ts";
import { compareMultisets } from "../../../src/verify/compare-multisets.ts";
import { describeDifferences } from "../../../src/verify/describe.ts";
import { readDifferences } from "../../../src/verify/difference.ts";
import { type PairedTable, readPairs } from "../../../src/verify/pairs.ts";
import { COMPARING, sidesOf } from "../../../src/verify/sides.ts";
import { findOperators } from "../../../src/verify/tables.ts";
import { DiffersError } from "../parts/differs.ts";
import type { MoveStep } from "../parts/step.ts";

/** Compares, under the lock, the rows that changed whenever they were compared before. */
export class ChangingRowsComparison {
  private constructor(
    private readonly step: MoveStep,
    private readonly source: pg.Client,
    private readonly destination: pg.Client,
    private readonly work: { pair: PairedTable; keys: ChangingRows["keys"] }[],
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
      await Promise.all([findOperators(source, step.schema), findOperators(destination, step.schema)]);
      const work = pairs.map((pair) => ({ pair, keys: wanted.get(pair.name) ?? null }));
      return use(new ChangingRowsComparison(step, source, destination, work));
    });
  }

  /**
   * Waits until the destination has applied everything up to a position of the source, on which nothing changes any more, and
   * compares. False if that takes longer than the given milliseconds; throws if rows differ.
   */
  async run(position: string, ms: number): Promise<boolean> {
    const { step, source, destination } = this;
    const until = Date.now() + ms;
    if (!(await waitUntilApplied(destination, step.replicationName, position, ms))) return false;
    for (const { pair, keys } of this.work) {
      if (Date.now() > until) return false;
      const sides = sidesOf(pair, source, destination, () => Promise.resolve());
      const differences =
        keys === null || sides.keyed === null
          ? (await compareMultisets(sides.all, () => Promise.resolve())).differences
          : await readDifferences(sides.keyed, await differingKeys(sides.keyed, keys));
      if (differences.length > 0) throw new DiffersError(step, describeDifferences(differences, false));
    }
    return true;
  }
}
