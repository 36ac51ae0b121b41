import type { MigrateInput } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import { messageOf, ShardferryError } from "../errors.ts";
import { SQLSTATE } from "../postgres/sqlstate.ts";
import { excerpt } from "./excerpt.ts";
import type { MigrationStatement } from "./parse.ts";

/** Where in a migration something failed. */
export interface FailurePlace {
  island: IslandName;
  /** Null outside of a shard: debug views, PREPARE TRANSACTION. */
  schema: string | null;
  statement: MigrationStatement | null;
  /** Offset in the statement, from 0. */
  offset: number;
}

/** What node-postgres tells of an error of the server. */
interface DatabaseError extends Error {
  code?: string;
  detail?: string;
  hint?: string;
  where?: string;
  internalQuery?: string;
}

/** SQLSTATEs of names that are not found: of relations, columns' types, functions, operator classes, schemas. */
const NOT_FOUND = new Set<string>([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedObject,
  SQLSTATE.undefinedFunction,
  SQLSTATE.invalidSchemaName,
]);

const NOT_FOUND_HINT =
  "search_path is the shard alone; what is in another schema needs its name, as in public.citext";

/** Roles are in no schema. */
const isNotFound = ({ code, message }: DatabaseError): boolean =>
  code !== undefined && NOT_FOUND.has(code) && !message.startsWith("role ");

/** A statement failed, which it would do again. */
export class MigrationFailedError extends ShardferryError {
  constructor(migration: MigrateInput, place: FailurePlace, cause: unknown, outcome: string) {
    super("migration_failed", `${describeFailure(migration, place, cause)}\n${outcome}`, { cause });
  }
}

/** The locks could not be had in time. */
export class MigrationLockedError extends ShardferryError {
  constructor(seconds: number, blockers: string, cause: unknown) {
    super(
      "migration_locked",
      `could not get all locks at once within ${seconds} s; the last that were in the way: ${blockers}. Nothing was changed. ` +
        "Run it again when they are gone, or give it longer with --deadline-sec",
      { cause },
    );
  }
}

/** Island, shard, statement with line and caret, SQLSTATE and hint. */
export function describeFailure(migration: MigrateInput, place: FailurePlace, cause: unknown): string {
  const { island, schema, statement, offset } = place;
  const { code, detail, hint, where } = cause as DatabaseError;
  const lines = [
    `${island}${schema === null ? "" : `, shard ${schema}`}: ${messageOf(cause)}${code ? ` (SQLSTATE ${code})` : ""}`,
    statement && excerpt(migration.source, migration.sql, statement.start + offset),
    detail && `detail: ${detail}`,
    where && `where: ${where}`,
    hint && `hint: ${hint}`,
    schema !== null && isNotFound(cause as DatabaseError) && `hint: ${NOT_FOUND_HINT}`,
    schema !== null &&
      migration.shards === null &&
      /\D0+$/.test(schema) &&
      `hint: ${schema} is the global shard, which is changed, too, unless --shards names the others`,
  ];
  return lines.filter(Boolean).join("\n");
}
