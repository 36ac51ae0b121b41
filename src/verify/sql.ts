import { ident } from "../postgres/quote.ts";
import type { ComparedTable, KeyColumn } from "./tables.ts";

/** The values of a key as text, in the order of its columns. */
export type Key = readonly string[];

/** A table with a key. */
export type KeyedTable = ComparedTable & { key: KeyColumn[] };

/** From after one key to another, which belongs to it; null: without an end. */
export interface KeyRange {
  after: Key | null;
  upTo: Key | null;
}

/** The hash of a row in its exact form, 64 bits. A table without columns has rows that are all the same. */
export const rowHash = ({ columns }: ComparedTable): string =>
  columns.length === 0
    ? "0::bigint"
    : `hash_record_extended(ROW(${columns.map(({ exact }) => exact).join(", ")}), 0)`;

/** The parameter of a key's column, as SQL. */
const parameter = ({ type, collation }: KeyColumn, value: string): string =>
  `${value}::${type}${collation === null ? "" : ` COLLATE ${collation}`}`;

/** The columns of a key as an array of text. */
const keyTexts = ({ key, columns }: KeyedTable): string =>
  `ARRAY[${key.map((one) => columns.find(({ name }) => name === one.name)!.text).join(", ")}]`;

const row = (parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : `ROW(${parts.join(", ")})`;

const keyRow = ({ key }: KeyedTable): string => row(key.map(({ name }) => `t.${ident(name)}`));

/** The condition of a range, and its parameters. */
export function within(table: KeyedTable, { after, upTo }: KeyRange): { sql: string; values: string[] } {
  const values: string[] = [];
  const bound = (key: Key): string =>
    row(
      table.key.map((column, i) => {
        values.push(key[i]!);
        return parameter(column, `$${values.length}`);
      }),
    );
  const conditions = [
    ...(after ? [`${keyRow(table)} > ${bound(after)}`] : []),
    ...(upTo ? [`${keyRow(table)} <= ${bound(upTo)}`] : []),
  ];
  return { sql: conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "", values };
}

/** The key at which a range of n rows ends. */
export const boundSql = (table: KeyedTable, condition: string, n: number): string =>
  `SELECT ${keyTexts(table)} AS key FROM ${table.relation} t ${condition}
   ORDER BY ${table.key.map(({ name }) => `t.${ident(name)}`).join(", ")} OFFSET ${n - 1} LIMIT 1`;

/** Number and sum of the hashes of rows. A sum, not xor: two equal rows would cancel each other. */
export const sumSql = (table: ComparedTable, condition: string): string =>
  `SELECT count(*)::text AS rows, coalesce(sum(${rowHash(table)}), 0)::text AS sum FROM ${table.relation} t ${condition}`;

/** Each row's key and hash. */
export const listSql = (table: KeyedTable, condition: string): string =>
  `SELECT ${keyTexts(table)} AS key, ${rowHash(table)}::text AS hash FROM ${table.relation} t ${condition}`;

/**
 * The rows with some keys, which are given as one array of text per column: the position of the key, and with each row
 * its hash and the version of it.
 */
export function byKeysSql(table: KeyedTable, more = ""): string {
  const arrays = table.key.map((_, i) => `$${i + 1}::text[]`).join(", ");
  const names = table.key.map((_, i) => `k${i}`);
  const on = table.key
    .map((column, i) => `t.${ident(column.name)} = ${parameter(column, `w.k${i}`)}`)
    .join(" AND ");
  return `SELECT w.i::int AS i, ${keyTexts(table)} AS key, ${rowHash(table)}::text AS hash,
            concat_ws(' ', t.xmin, t.ctid) AS version${more}
          FROM unnest(${arrays}) WITH ORDINALITY AS w(${names.join(", ")}, i)
          JOIN ${table.relation} t ON ${on}`;
}

/** A row's values as text, as one array. */
export const valuesSql = ({ columns }: ComparedTable): string =>
  `ARRAY[${columns.map(({ text }) => text).join(", ")}]::text[] AS values`;
