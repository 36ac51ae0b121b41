import type { ChangingRows, RowDifference } from "../../contract/verify.ts";
import { ShardferryError } from "../errors.ts";
import { settleKeys } from "./compare-keys.ts";
import { compareMultisets } from "./compare-multisets.ts";
import { compareRanges } from "./compare-ranges.ts";
import { readDifferences } from "./difference.ts";
import { Pace } from "./pace.ts";
import type { Sides, SidesOfTable } from "./sides.ts";
import type { Key, KeyedTable } from "./sql.ts";

/** What may be left to compare under the lock: a number of rows, or a small table without a key. */
const MOST_KEYS = 1000;
const MOST_BYTES = 64 << 20;

/** How often rows that change all the time are compared again. */
const ROUNDS = 20;

/** More of a table changes all the time than can be compared under the lock. */
class TooBusyError extends ShardferryError {
  constructor(table: string, what: string) {
    super(
      "too_busy_to_verify",
      `table "${table}" cannot be compared: ${what} changed whenever it was read, and that is too much to compare under the lock. ` +
        "Try again at a quieter time, or with --verify=none",
    );
  }
}

/** What the comparison of a table calls back. */
export interface Watch {
  /** Before each statement: waits while replicas lag, and throws when the comparison is to end. */
  before: () => Promise<void>;
  /** After each range; its end is null when the table has been compared. */
  compared: (rows: number, end: Key | null) => void;
}

/** What the comparison of a table has come to. */
export interface ComparedTableReport {
  differences: RowDifference[];
  /** Rows that changed whenever they were read. */
  changing: ChangingRows | null;
}

/** Compares a table with its counterpart, and returns where they differ. */
export async function compareTable(
  { all, keyed }: SidesOfTable,
  watch: Watch,
  after: Key | null = null,
): Promise<ComparedTableReport> {
  return keyed ? compareKeyed(keyed, watch, after) : compareKeyless(all, watch);
}

async function compareKeyed(
  sides: Sides<KeyedTable>,
  watch: Watch,
  after: Key | null,
): Promise<ComparedTableReport> {
  const { name, bytes, estimatedRows } = sides.source.table;
  const pace = new Pace({
    bytesPerRow: bytes / Math.max(estimatedRows, 1),
    before: watch.before,
    onRange: watch.compared,
  });
  const { differences, changing: first } = await compareRanges(sides, pace, after);
  let changing = first;
  // More than that would block writers for too long, so these are compared again.
  for (let round = 1; changing.length > MOST_KEYS && differences.length === 0; round++) {
    if (round > ROUNDS) throw new TooBusyError(name, `${changing.length} of its rows`);
    await watch.before();
    const settled = await settleKeys(sides, changing);
    differences.push(...(await readDifferences(sides, settled.different)));
    changing = settled.changing;
  }
  return { differences, changing: changing.length > 0 ? { table: name, keys: changing } : null };
}

async function compareKeyless(sides: Sides, watch: Watch): Promise<ComparedTableReport> {
  const { name, bytes } = sides.source.table;
  const { rows, differences, changing } = await compareMultisets(sides, watch.before);
  if (changing.length > 0 && bytes > MOST_BYTES)
    throw new TooBusyError(name, "a part of it, which has no key,");
  watch.compared(rows, null);
  return { differences, changing: changing.length > 0 ? { table: name, keys: null } : null };
}
