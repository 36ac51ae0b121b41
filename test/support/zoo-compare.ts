import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import type { Client } from "pg";

import { ident, qualified } from "../../src/postgres/quote.ts";
import type { TestDatabase } from "./database.ts";

const run = promisify(execFile);

/** A schema in a database; a move may have changed its name. */
export interface Place {
  database: TestDatabase;
  schema: string;
}

/**
 * Returns the DDL of a schema, statement by statement, under the name `as`, without permitted differences: foreign keys
 * arrive NOT VALID. Uses the given pg_dump, because the output of versions differs.
 */
export async function ddlOf({ database, schema }: Place, bin: string, as = schema): Promise<string[]> {
  const { stdout } = await run(
    join(bin, "pg_dump"),
    ["--schema-only", `--schema=${ident(schema)}`, "--no-publications", "--no-subscriptions", database.dsn],
    { maxBuffer: 1 << 28 },
  );
  return renamed(stdout, schema, as)
    .split("\n\n")
    .filter(
      (text) =>
        !/^\n*(--\n-- (PostgreSQL database dump|Dumped )|-- Dumped |\\(un)?restrict |SET )/.test(text),
    )
    .map((text) => (text.includes(" FOREIGN KEY ") ? text.replace(/ NOT VALID;$/, ";") : text));
}

const renamed = (text: string, schema: string, as: string): string =>
  schema === as ? text : text.replaceAll(schema, () => as);

/** Creates the structure of a schema in another database, with the pg_dump and psql of its own version. */
export async function restore({ database, schema }: Place, into: TestDatabase): Promise<void> {
  const { bin } = database.server;
  const flags = ["--schema-only", `--schema=${ident(schema)}`, database.dsn];
  const { stdout } = await run(join(bin, "pg_dump"), flags, { maxBuffer: 1 << 28 });
  const psql = run(join(bin, "psql"), ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", into.dsn]);
  // A setting that is unknown to an older server.
  psql.child.stdin!.end(stdout.replace(/^SET transaction_timeout = .*$/m, ""));
  await psql;
}

/** Settings that affect the text of values, and settings that would prevent reading them. */
const PINNED = Object.entries({
  search_path: "''",
  timezone: "UTC",
  datestyle: "ISO",
  intervalstyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: 1,
  statement_timeout: 0,
  row_security: "off",
})
  .map(([name, value]) => `SET ${name} = ${value}`)
  .join("; ");

/** Returns every row of every table and populated materialized view as text, by the name of the relation. */
export async function rowsOf({ database, schema }: Place, as = schema): Promise<Map<string, string[]>> {
  return database.withClient(async (client) => {
    await client.query(PINNED);
    const contents = new Map<string, string[]>();
    for (const name of await namesOf(client, schema, ["r", "m"])) {
      const { rows } = await client.query<{ row: string }>(
        `SELECT whole_row::text AS row FROM ONLY ${qualified(schema, name)} whole_row ORDER BY whole_row::text COLLATE "C"`,
      );
      contents.set(
        name,
        rows.map(({ row }) => renamed(withoutZeros(row), schema, as)),
      );
    }
    return contents;
  });
}

/** Version 19 writes a position in the WAL with leading zeros. */
const withoutZeros = (row: string): string => row.replace(/\b0\/0{8}\b/g, "0/0");

/** Returns the state of every sequence, by name. */
export async function sequencesOf({ database, schema }: Place): Promise<Map<string, string[]>> {
  return database.withClient(async (client) => {
    const contents = new Map<string, string[]>();
    for (const name of await namesOf(client, schema, ["S"])) {
      const { rows } = await client.query<{ last_value: string; is_called: boolean }>(
        `SELECT last_value, is_called FROM ${qualified(schema, name)}`,
      );
      contents.set(name, [`${rows[0]!.last_value} ${rows[0]!.is_called ? "called" : "not called"}`]);
    }
    return contents;
  });
}

async function namesOf(client: Client, schema: string, kinds: string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind = ANY ($2) AND relispopulated
     ORDER BY relname`,
    [schema, kinds],
  );
  return rows.map(({ name }) => name);
}

/** Returns the differences between two lists of statements, shortened to be readable. */
export function ddlDifferences(expected: readonly string[], actual: readonly string[]): string[] {
  const [left, right] = [new Set(expected), new Set(actual)];
  return [
    ...expected.filter((text) => !right.has(text)).map((text) => `missing: ${text.trim().slice(0, 2000)}`),
    ...actual.filter((text) => !left.has(text)).map((text) => `more: ${text.trim().slice(0, 2000)}`),
  ];
}

/** Returns the relations whose rows differ, each with the first differing row. */
export function contentDifferences(
  expected: ReadonlyMap<string, string[]>,
  actual: ReadonlyMap<string, string[]>,
): string[] {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  return [...names].flatMap((name) => {
    const [left, right] = [expected.get(name), actual.get(name)];
    if (!left || !right) return [`${name} is only ${left ? "in the source" : "in the destination"}`];
    const at = left.findIndex((row, i) => row !== right[i]);
    if (at < 0 && left.length === right.length) return [];
    const show = (rows: string[]): string =>
      `${rows.length} rows, at ${at}: ${rows[Math.max(0, at)]?.slice(0, 300)}`;
    return [`${name}: ${show(left)} <> ${show(right)}`];
  });
}
