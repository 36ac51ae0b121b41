import { createHash } from "node:crypto";

import { loadModule, parseSync } from "libpg-query";

import type { MigrateMode } from "../../contract/migrate.ts";
import { messageOf, ShardferryError } from "../errors.ts";
import { excerpt } from "./excerpt.ts";
import { type Node, outsideOfTransactions, refusalOf } from "./refusals.ts";

/** One statement of a migration. */
export interface MigrationStatement {
  sql: string;
  /** Where it begins in the whole text, in characters. */
  start: number;
  /** It cannot run in a transaction, inherently waits for the transactions of others, and blocks nobody meanwhile. */
  concurrent: boolean;
  /** The index that it builds without a transaction: a failure leaves an invalid index, which blocks the next attempt. */
  concurrentIndex: string | null;
  /** Names of the relations that it affects: each costs locks. */
  relations: string[];
}

/** The SQL of a migration cannot be run; nothing was touched. */
class BadMigrationError extends ShardferryError {
  constructor(problems: readonly string[], options?: ErrorOptions) {
    super("bad_migration", `${problems.join("\n")}\nNothing was changed.`, options);
  }
}

/** The input of an activity goes into the history at every try; a migration larger than this is data. */
const MAX_BYTES = 256 * 1024;

/** SHA-256 of a migration's text, in hexadecimal. Line endings do not count, since Git may change them. */
export const migrationHash = (text: string): string =>
  createHash("sha256").update(text.replaceAll("\r\n", "\n")).digest("hex");

/**
 * Splits a migration into statements with PostgreSQL's own grammar, and refuses statements that cannot run in every shard.
 *
 * @param source the name of the text in messages.
 */
export async function parseMigration(
  text: string,
  source: string,
  mode: MigrateMode,
): Promise<MigrationStatement[]> {
  if (Buffer.byteLength(text) > MAX_BYTES) {
    throw new BadMigrationError([
      `${source} is larger than ${MAX_BYTES / 1024} KiB: split it into several migrations.`,
    ]);
  }
  const parsed = withoutTransaction(await parse(text, source), mode);
  if (parsed.length === 0) throw new BadMigrationError([`${source} contains no statement.`]);
  const problems = parsed.flatMap(({ node, tree, start }) => {
    const reason = refusalOf(node, tree, mode);
    return reason === null ? [] : [`${reason}\n${excerpt(source, text, start)}`];
  });
  if (problems.length > 0) throw new BadMigrationError(problems);
  return parsed.map(({ sql, start, node, tree }) => ({
    sql,
    start,
    concurrent: outsideOfTransactions(node, tree) !== null,
    concurrentIndex:
      node === "IndexStmt" && tree["concurrent"] === true ? ((tree["idxname"] as string) ?? null) : null,
    relations: [...new Set(relationsOf(tree))],
  }));
}

/**
 * Leaves out BEGIN and COMMIT around the whole text: the migration is a transaction by itself. Not where it is none, since
 * each statement would then be committed by itself.
 */
function withoutTransaction(parsed: readonly Parsed[], mode: MigrateMode): readonly Parsed[] {
  const kinds = parsed.map(({ node, tree }) =>
    node === "TransactionStmt" && tree["options"] === undefined && tree["chain"] !== true
      ? tree["kind"]
      : null,
  );
  const begins = kinds[0] === "TRANS_STMT_BEGIN" || kinds[0] === "TRANS_STMT_START";
  return mode === "all" && begins && kinds.at(-1) === "TRANS_STMT_COMMIT" ? parsed.slice(1, -1) : parsed;
}

interface Parsed {
  sql: string;
  start: number;
  node: string;
  tree: Node;
}

async function parse(text: string, source: string): Promise<Parsed[]> {
  await loadModule();
  const bytes = Buffer.from(text);
  let stmts: { stmt: Record<string, Node>; stmt_location?: number; stmt_len?: number }[];
  try {
    stmts = (parseSync(text) as unknown as { stmts?: typeof stmts }).stmts ?? [];
  } catch (cause) {
    // The parser refuses an empty text with a message of its own.
    if (text.trim() === "") return [];
    const { sqlDetails } = cause as { sqlDetails?: { cursorPosition?: number } };
    const at = sqlDetails?.cursorPosition ?? 0;
    throw new BadMigrationError([`${messageOf(cause)}\n${excerpt(source, text, at)}`], { cause });
  }
  return stmts.map(({ stmt, stmt_location: from = 0, stmt_len: length }) => {
    const [node, tree] = Object.entries(stmt)[0]!;
    // The parser counts bytes, not characters, and treats comments before a statement as part of it.
    const raw = bytes.subarray(from, length ? from + length : undefined).toString();
    const sql = raw.replace(LEADING_COMMENTS, "");
    const start = bytes.subarray(0, from).toString().length + raw.length - sql.length;
    return { sql: sql.trimEnd(), start, node, tree };
  });
}

/** White space and comments before a statement; a comment may contain another one, and ends with the outer one. */
const LEADING_COMMENTS =
  /^(?:\s+|--[^\n]*(?:\n|$)|\/\*(?:[^*/]|\*(?!\/)|\/(?!\*)|\/\*(?:[^*]|\*(?!\/))*\*\/)*\*\/)+/;

/** All relations named in a tree. */
function relationsOf(tree: unknown): string[] {
  if (typeof tree !== "object" || tree === null) return [];
  const own = (tree as Node)["relname"];
  return [...(typeof own === "string" ? [own] : []), ...Object.values(tree).flatMap(relationsOf)];
}
