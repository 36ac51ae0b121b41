import { allEnd } from "../all-end.ts";
import { columnsOf } from "./difference.ts";
import type { Side, Sides } from "./sides.ts";
import { byKeysSql, type Key, type KeyedTable } from "./sql.ts";

/** Keys that are looked up in one statement. */
const BATCH = 1000;
/** How often the rows of a key are read again before they count as always changing. */
const ROUNDS = 8;

interface Found {
  hash: string;
  version: string;
}

/** The result for keys whose rows seemed to differ. */
export interface Settled {
  /** Their rows are not the same. */
  different: Key[];
  /** Their rows were changed in every round. */
  changing: Key[];
}

/**
 * Reads the rows of some keys again until each of them is found to be the same, to be different, or to change all the
 * time. A round reads the source, waits until the destination has applied everything up to there, reads the
 * destination, and then the source once more. If what the destination has is one of the two states of the source, the row
 * is the same. If the source did not change in between, the destination has its final state: the row is
 * different. To be sure of that, two rounds must find the same result.
 */
export async function settleKeys(
  sides: Sides<KeyedTable>,
  keys: readonly Key[],
  rounds = ROUNDS,
): Promise<Settled> {
  const settled: Settled = { different: [], changing: [] };
  for (let i = 0; i < keys.length; i += BATCH) {
    const { different, changing } = await settleBatch(sides, keys.slice(i, i + BATCH), rounds);
    settled.different.push(...different);
    settled.changing.push(...changing);
  }
  return settled;
}

async function settleBatch(sides: Sides<KeyedTable>, keys: readonly Key[], rounds: number): Promise<Settled> {
  const different: Key[] = [];
  let pending = [...keys];
  const suspected = new Map<Key, string>();
  for (let round = 0; pending.length > 0 && round < rounds; round++) {
    const before = await readKeys(sides.source, pending);
    await sides.caughtUp();
    const there = await readKeys(sides.destination, pending);
    const after = await readKeys(sides.source, pending);
    pending = pending.filter((key, i) => {
      const [a, b, c] = [before.get(i), there.get(i), after.get(i)];
      if (b?.hash === a?.hash || b?.hash === c?.hash) return false;
      if (a?.version !== c?.version) {
        suspected.delete(key);
        return true;
      }
      const finding = `${a?.version} ${b?.version}`;
      if (suspected.get(key) !== finding) {
        suspected.set(key, finding);
        return true;
      }
      different.push(key);
      return false;
    });
  }
  return { different, changing: pending };
}

/** Compares the rows of some keys once, and returns those that are not the same: nothing changes on either side. */
export async function differingKeys(sides: Sides<KeyedTable>, keys: readonly Key[]): Promise<Key[]> {
  const [source, destination] = await allEnd([
    readKeys(sides.source, keys),
    readKeys(sides.destination, keys),
  ]);
  return keys.filter((_, i) => source.get(i)?.hash !== destination.get(i)?.hash);
}

async function readKeys(
  { client, table }: Side<KeyedTable>,
  keys: readonly Key[],
): Promise<Map<number, Found>> {
  const { rows } = await client.query<Found & { i: number }>(byKeysSql(table), columnsOf(table, keys));
  return new Map(rows.map(({ i, ...found }) => [i - 1, found]));
}
