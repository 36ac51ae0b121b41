import { allEnd } from "../all-end.ts";
import { hasSqlstate, SQLSTATE } from "../postgres/errors/sqlstate.ts";
import { settleKeys } from "./compare-keys.ts";
import { type Compared, MOST_DIFFERENCES, readDifferences } from "./difference.ts";
import type { Pace } from "./pace.ts";
import type { Side, Sides } from "./sides.ts";
import { boundSql, type Key, type KeyedTable, type KeyRange, listSql, sumSql, within } from "./sql.ts";

/**
 * Compares a table with a key, range by range, while both sides change. The first range has no beginning and the last one
 * no end, on both sides, so that no row is outside of them. If the two sides sort differently, a row may belong to
 * different ranges on the two sides; but each belongs to at least one, and those that seem to be missing are looked up
 * by their keys.
 *
 * @param after where an earlier comparison of this table stopped.
 */
export async function compareRanges(
  sides: Sides<KeyedTable>,
  pace: Pace,
  after: Key | null = null,
): Promise<Compared> {
  const compared: Compared = { rows: 0, differences: [], changing: [] };
  for (let range: KeyRange = { after, upTo: null }; ;) {
    await pace.before();
    const begun = performance.now();
    let rows: number;
    try {
      range = { after, upTo: await nextBound(sides.source, after, pace.rows) };
      const [source, destination] = await allEnd([
        sumOf(sides.source, range),
        sumOf(sides.destination, range),
      ]);
      rows = source.rows;
      if (source.rows !== destination.rows || source.sum !== destination.sum)
        await narrow(sides, range, compared);
    } catch (error) {
      // A range that takes too long is compared in smaller ones: no transaction lasts longer than a few seconds.
      if (!hasSqlstate(error, SQLSTATE.queryCanceled) || !pace.tooSlow()) throw error;
      continue;
    }
    compared.rows += rows;
    // Only this attempt knows the differences found here: another one has to compare the table from its beginning.
    const settled = compared.differences.length + compared.changing.length === 0;
    pace.done(rows, performance.now() - begun, settled ? range.upTo : null);
    if (range.upTo === null || compared.differences.length >= MOST_DIFFERENCES) return compared;
    after = range.upTo;
  }
}

async function nextBound(
  { client, table }: Side<KeyedTable>,
  after: Key | null,
  rows: number,
): Promise<Key | null> {
  const { sql, values } = within(table, { after, upTo: null });
  const result = await client.query<{ key: string[] }>(boundSql(table, sql, rows), values);
  return result.rows[0]?.key ?? null;
}

async function sumOf(
  { client, table }: Side<KeyedTable>,
  range: KeyRange,
): Promise<{ rows: number; sum: string }> {
  const { sql, values } = within(table, range);
  const { rows } = await client.query<{ rows: string; sum: string }>(sumSql(table, sql), values);
  return { rows: Number(rows[0]!.rows), sum: rows[0]!.sum };
}

/** Finds the rows of a range that are not the same on both sides. */
async function narrow(sides: Sides<KeyedTable>, range: KeyRange, compared: Compared): Promise<void> {
  const [source, destination] = await allEnd([listOf(sides.source, range), listOf(sides.destination, range)]);
  const suspects = [...source.values(), ...destination.values()].filter(({ text, hash }, i) =>
    i < source.size ? destination.get(text)?.hash !== hash : !source.has(text),
  );
  const { different, changing } = await settleKeys(
    sides,
    suspects.map(({ key }) => key),
  );
  const room = MOST_DIFFERENCES - compared.differences.length;
  compared.differences.push(...(await readDifferences(sides, different.slice(0, room))));
  compared.changing.push(...changing);
}

interface Listed {
  key: Key;
  text: string;
  hash: string;
}

async function listOf({ client, table }: Side<KeyedTable>, range: KeyRange): Promise<Map<string, Listed>> {
  const { sql, values } = within(table, range);
  const { rows } = await client.query<{ key: string[]; hash: string }>(listSql(table, sql), values);
  return new Map(
    rows.map(({ key, hash }) => {
      const text = JSON.stringify(key);
      return [text, { key, text, hash }];
    }),
  );
}
