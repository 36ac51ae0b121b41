import type { RowDifference } from "../../contract/verify.ts";
import { allEnd } from "../all-end.ts";
import type { Side, Sides } from "./sides.ts";
import { byKeysSql, type Key, type KeyedTable, valuesSql } from "./sql.ts";

/** What the comparison of a table has come to. */
export interface Compared {
  /** Rows of the source that were compared. */
  rows: number;
  differences: RowDifference[];
  /** Keys whose rows changed whenever they were read: they are compared under the lock. */
  changing: Key[];
}

/** Differences of a table after which its comparison ends. */
export const MOST_DIFFERENCES = 100;

/** Characters of a value that are shown. */
const SHOWN = 60;

/** Shows a key: `id = 7, name = a b`. */
const describeKey = (table: KeyedTable, key: Key): string =>
  table.key.map(({ name }, i) => `${name} = ${shortened(key[i]!)}`).join(", ");

export const shortened = (value: string): string =>
  value.length <= SHOWN ? value : `${value.slice(0, SHOWN)}… (${value.length} characters)`;

/**
 * Cuts two values so that what differs is seen: around the first character in which they differ, if that is far from the
 * beginning.
 */
function shortenedBoth(a: string | null, b: string | null): [string | null, string | null] {
  if (a === null || b === null) return [a && shortened(a), b && shortened(b)];
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  const begin = Math.max(0, same - SHOWN / 2);
  const cut = (value: string): string =>
    begin === 0 ? shortened(value) : `…${shortened(value.slice(begin))}`;
  return [cut(a), cut(b)];
}

/** Reads both sides of rows that differ, and says in which columns. */
export async function readDifferences(
  { source, destination }: Sides<KeyedTable>,
  keys: readonly Key[],
): Promise<RowDifference[]> {
  const [before, after] = await allEnd([valuesOf(source, keys), valuesOf(destination, keys)]);
  return keys.flatMap((key, i) => {
    const [a, b] = [before.get(i), after.get(i)];
    // Gone on both sides meanwhile.
    if (a === undefined && b === undefined) return [];
    return {
      table: source.table.name,
      key: describeKey(source.table, key),
      missing: a === undefined ? "source" : b === undefined ? "destination" : "none",
      columns: a && b ? differing(source.table, a, b) : [],
    };
  });
}

async function valuesOf(
  { client, table }: Side<KeyedTable>,
  keys: readonly Key[],
): Promise<Map<number, (string | null)[]>> {
  const { rows } = await client.query<{ i: number; values: (string | null)[] }>(
    byKeysSql(table, `, ${valuesSql(table)}`),
    columnsOf(table, keys),
  );
  return new Map(rows.map(({ i, values }) => [i - 1, values]));
}

function differing(
  { columns }: KeyedTable,
  a: readonly (string | null)[],
  b: readonly (string | null)[],
): RowDifference["columns"] {
  return columns.flatMap(({ name }, i) => {
    if (a[i] === b[i]) return [];
    const [source, destination] = shortenedBoth(a[i]!, b[i]!);
    return [{ name, source, destination }];
  });
}

/** Keys as parameters: one array per column. */
export const columnsOf = (table: KeyedTable, keys: readonly Key[]): string[][] =>
  table.key.map((_, i) => keys.map((key) => key[i]!));
