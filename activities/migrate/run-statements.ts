import type { ClientBase } from "pg";

import type { MigrateInput } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import type { FailurePlace } from "../../src/migrations/failure.ts";
import type { MigrationStatement } from "../../src/migrations/parse.ts";
import { LEDGER_TABLE } from "../../src/postgres/api/ledger.ts";
import { ident, literal, qualified } from "../../src/postgres/quote.ts";

/** An error that the server reported, with its place in the migration. */
export class StatementError extends Error {
  constructor(
    readonly place: FailurePlace,
    override readonly cause: unknown,
  ) {
    super("a statement of the migration failed", { cause });
  }
}

/** A part of a query: where in the query it begins, and what it is. */
interface Part {
  start: number;
  sql: string;
  schema: string;
  statement: MigrationStatement | null;
}

/** Characters per round trip. With one round trip per shard, at 0.2 ms each, the trips would cost more than the work. */
const QUERY_CHARACTERS = 64 * 1024;

/**
 * Runs the migration in some shards within the open transaction, many statements per round trip.
 *
 * @param between called between two round trips; throws to stop.
 */
export async function runInShards(
  client: ClientBase,
  island: IslandName,
  schemas: readonly string[],
  migration: MigrateInput,
  statements: readonly MigrationStatement[],
  key: string,
  between: () => void,
): Promise<void> {
  let parts: Part[] = [];
  let length = 0;
  for (const schema of schemas) {
    for (const [sql, statement] of sqlOf(schema, migration, statements, key)) {
      // The line break also ends a trailing comment.
      const text = `${sql}\n;\n`;
      parts.push({ start: length, sql: text, schema, statement });
      length += text.length;
    }
    if (length < QUERY_CHARACTERS) continue;
    await runParts(client, island, parts);
    between();
    parts = [];
    length = 0;
  }
  if (parts.length > 0) await runParts(client, island, parts);
}

function sqlOf(
  schema: string,
  { name, hash }: MigrateInput,
  statements: readonly MigrationStatement[],
  key: string,
): (readonly [string, MigrationStatement | null])[] {
  const values = [literal(name), literal(hash), String(statements.length), "true", literal(key)];
  return [
    [`SET LOCAL search_path TO ${ident(schema)}`, null],
    ...statements.map((statement) => [statement.sql, statement] as const),
    [
      `INSERT INTO ${qualified(schema, LEDGER_TABLE)} (name, hash, statements, complete, transaction_key)
       VALUES (${values.join(", ")})`,
      null,
    ],
  ];
}

/** A part of node-postgres' Client that its types do not declare: an event for each completed statement. */
interface Counting {
  connection: {
    on(event: "commandComplete", listener: () => void): void;
    off(event: "commandComplete", listener: () => void): void;
  };
}

/** Runs statements in one round trip. Counts completed statements, since an error does not always contain its position. */
async function runParts(client: ClientBase, island: IslandName, parts: readonly Part[]): Promise<void> {
  const { connection } = client as unknown as Counting;
  let done = 0;
  const count = (): void => void done++;
  connection.on("commandComplete", count);
  try {
    await client.query(parts.map(({ sql }) => sql).join(""));
  } catch (cause) {
    const { start, schema, statement } = parts[Math.min(done, parts.length - 1)]!;
    const position = Number((cause as { position?: string }).position ?? 0);
    const offset = position > start ? position - 1 - start : 0;
    throw new StatementError({ island, schema, statement, offset }, cause);
  } finally {
    connection.off("commandComplete", count);
  }
}
