import type { RowDifference } from "../../contract/verify.ts";
import { allEnd } from "../all-end.ts";
import { type Compared, MOST_DIFFERENCES, shortened } from "./difference.ts";
import type { Side, Sides } from "./sides.ts";
import { rowHash } from "./sql.ts";

/** A table without a key is compared in this many parts, by the hash of the row. */
const PARTS = 4096;
/** Bytes that one statement reads, with what is TOASTed: 0.5 to 2 s. */
const STATEMENT_BYTES = 128 << 20;
/** How often the parts that differ are read again while the table changes. */
const ROUNDS = 8;

interface Part {
  rows: string;
  sum: string;
}

/** The result for a table without a key. */
export interface ComparedMultiset extends Omit<Compared, "changing"> {
  /** Parts whose rows changed whenever they were read. */
  changing: number[];
}

/**
 * Compares a table without a key: the two sides as multisets of rows, so that the loss of one of two equal rows is found. A part
 * that is the same on both sides is done. The others are read again when the destination has caught up; if the source has
 * not changed meanwhile, what differs then is a difference.
 *
 * @param before called before each statement; waits or throws if there is a reason for it.
 */
export async function compareMultisets(
  sides: Sides,
  before: () => Promise<void>,
  rounds = ROUNDS,
): Promise<ComparedMultiset> {
  let pending: number[] | null = null;
  let rows = 0;
  const suspected = new Map<number, string>();
  for (let round = 0; ; round++) {
    const first = round === 0;
    const [source, destination] = first
      ? await allEnd([partsOf(sides.source, before, pending), partsOf(sides.destination, before, pending)])
      : await readInTurn(sides, before, pending);
    if (first) rows = [...source.values()].reduce((sum, part) => sum + Number(part.rows), 0);
    pending = differing(source, destination);
    if (pending.length === 0) return { rows, differences: [], changing: [] };
    if (first) continue;
    const after = await partsOf(sides.source, before, pending);
    const different = pending.filter((part) => {
      const finding = JSON.stringify([source.get(part), destination.get(part)]);
      const found = same(source.get(part), after.get(part)) && suspected.get(part) === finding;
      suspected.set(part, finding);
      return found;
    });
    const differences = different.length > 0 ? await readRows(sides, before, different) : [];
    if (differences.length > 0) return { rows, differences, changing: [] };
    if (round >= rounds) return { rows, differences: [], changing: pending };
  }
}

/** The destination after it has caught up with what was read on the source. */
async function readInTurn(
  sides: Sides,
  before: () => Promise<void>,
  parts: readonly number[] | null,
): Promise<[Map<number, Part>, Map<number, Part>]> {
  const source = await partsOf(sides.source, before, parts);
  await sides.caughtUp();
  return [source, await partsOf(sides.destination, before, parts)];
}

const same = (a: Part | undefined, b: Part | undefined): boolean => a?.rows === b?.rows && a?.sum === b?.sum;

const differing = (source: ReadonlyMap<number, Part>, destination: ReadonlyMap<number, Part>): number[] =>
  [...new Set([...source.keys(), ...destination.keys()])].filter(
    (part) => !same(source.get(part), destination.get(part)),
  );

/** A table's hashes, by ranges of blocks; the last one has no end, since the table may grow. */
function* byBlocks({ table }: Side<Sides["source"]["table"]>): Generator<string> {
  const blocks = Math.max(1, Math.floor((STATEMENT_BYTES * table.blocks) / Math.max(table.bytes, 1)));
  for (let block = 0; block === 0 || block < table.blocks; block += blocks) {
    const last = block + blocks >= table.blocks;
    const end = last ? "" : ` AND t.ctid < '(${block + blocks},0)'`;
    yield `(SELECT ${rowHash(table)} AS hash FROM ${table.relation} t WHERE t.ctid >= '(${block},0)'${end}) hashed`;
  }
}

const partOf = (hash: string): string => `(${hash} & ${PARTS - 1})::int`;

async function partsOf(
  side: Side<Sides["source"]["table"]>,
  before: () => Promise<void>,
  parts: readonly number[] | null,
): Promise<Map<number, Part>> {
  const found = new Map<number, { rows: bigint; sum: bigint }>();
  const only = parts === null ? "" : `WHERE ${partOf("hash")} = ANY ($1)`;
  for (const hashes of byBlocks(side)) {
    await before();
    const { rows } = await side.client.query<Part & { part: number }>(
      `SELECT ${partOf("hash")} AS part, count(*)::text AS rows, sum(hash)::text AS sum FROM ${hashes} ${only} GROUP BY 1`,
      parts === null ? [] : [parts],
    );
    for (const { part, rows: count, sum } of rows) {
      const known = found.get(part) ?? { rows: 0n, sum: 0n };
      found.set(part, { rows: known.rows + BigInt(count), sum: known.sum + BigInt(sum) });
    }
  }
  return new Map([...found].map(([part, { rows, sum }]) => [part, { rows: String(rows), sum: String(sum) }]));
}

/** Finds the rows of parts that differ, with how often each of them is there. */
async function readRows(
  sides: Sides,
  before: () => Promise<void>,
  parts: readonly number[],
): Promise<RowDifference[]> {
  const [source, destination] = await allEnd([
    countsOf(sides.source, before, parts),
    countsOf(sides.destination, before, parts),
  ]);
  const hashes = [...new Set([...source.keys(), ...destination.keys()])].filter(
    (hash) => source.get(hash) !== destination.get(hash),
  );
  const differences: RowDifference[] = [];
  for (const hash of hashes.slice(0, MOST_DIFFERENCES)) {
    const [here, there] = [source.get(hash) ?? 0, destination.get(hash) ?? 0];
    const more = here > there ? sides.source : sides.destination;
    differences.push({
      table: sides.source.table.name,
      key: `${await rowWith(more, hash)}, which is there ${times(here)} on the source and ${times(there)} on the destination`,
      missing: here > there ? "destination" : "source",
      columns: [],
    });
  }
  return differences;
}

async function countsOf(
  side: Side<Sides["source"]["table"]>,
  before: () => Promise<void>,
  parts: readonly number[],
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const hashes of byBlocks(side)) {
    await before();
    const { rows } = await side.client.query<{ hash: string; rows: string }>(
      `SELECT hash::text AS hash, count(*)::text AS rows FROM ${hashes} WHERE ${partOf("hash")} = ANY ($1) GROUP BY 1`,
      [parts],
    );
    for (const { hash, rows: count } of rows) counts.set(hash, (counts.get(hash) ?? 0) + Number(count));
  }
  return counts;
}

async function rowWith({ client, table }: Side<Sides["source"]["table"]>, hash: string): Promise<string> {
  const { rows } = await client.query<{ row: string }>(
    `SELECT t::text AS row FROM ${table.relation} t WHERE ${rowHash(table)} = $1::bigint LIMIT 1`,
    [hash],
  );
  return `the row ${shortened(rows[0]?.row ?? "(gone meanwhile)")}`;
}

const times = (n: number): string => (n === 0 ? "never" : n === 1 ? "once" : `${n} times`);
