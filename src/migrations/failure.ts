import type { MigrateInput } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import { ShardferryError } from "../errors.ts";
import { SQLSTATE } from "../postgres/errors/sqlstate.ts";
import { withoutRows } from "../postgres/errors/without-rows.ts";
import { excerpt } from "./excerpt.ts";
import type { MigrationStatement } from "./parse.ts";

/** Where in a migration something failed. */
export interface FailurePlace {
  island: IslandName;
  /** Null outside any shard: debug views, PREPARE TRANSACTION. */
  schema: string | null;
  statement: MigrationStatement | null;
  /** Offset in the statement, from 0. */
  offset: number;
}

/** What node-postgres reports about a server error. */
interface DatabaseError extends Error {
  code?: string;
  internalQuery?: string;
}

/** SQLSTATEs for names that are not found: relations, columns' types, functions, operator classes, schemas. */
const NOT_FOUND = new Set<string>([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedObject,
  SQLSTATE.undefinedFunction,
  SQLSTATE.invalidSchemaName,
]);

const NOT_FOUND_HINT =
  "search_path contains only the shard; an object of another schema needs that schema's name, as in public.citext";

/** True if a name in a schema was not found; roles are not in a schema. */
const isNotFound = ({ code, message }: DatabaseError): boolean =>
  code !== undefined && NOT_FOUND.has(code) && !message.startsWith("role ");

/** A statement failed, and would fail again. */
export class MigrationFailedError extends ShardferryError {
  constructor(migration: MigrateInput, place: FailurePlace, cause: unknown, outcome: string) {
    super("migration_failed", `${describeFailure(migration, place, cause)}\n${outcome}`, { cause });
  }
}

/** The locks were not granted in time. */
export class MigrationLockedError extends ShardferryError {
  constructor(seconds: number, blockers: string, cause: unknown, outcome = "Nothing was changed.") {
    super(
      "migration_locked",
      `could not get all locks at once within ${seconds} s; last blocked by ${blockers}. ${outcome} ` +
        "Run it again when these are gone, or allow more time with --deadline-sec",
      { cause },
    );
  }
}

/** What has to end before the migration can begin did not end in time. */
export class MigrationLateError extends ShardferryError {
  constructor(seconds: number, waitingFor: string, cause?: unknown) {
    super(
      "migration_late",
      `could not begin within ${seconds} s (--deadline-sec): ${waitingFor}. Nothing was changed. ` +
        "Run it again when that has ended, or without --deadline-sec, which waits for it",
      { cause },
    );
  }
}

/** Island, shard, statement with line and caret, SQLSTATE and hint. */
export function describeFailure(migration: MigrateInput, place: FailurePlace, cause: unknown): string {
  const { island, schema, statement, offset } = place;
  const { code } = cause as DatabaseError;
  const { message, detail, hint, where } = withoutRows(cause);
  const lines = [
    `${island}${schema === null ? "" : `, shard ${schema}`}: ${message}${code ? ` (SQLSTATE ${code})` : ""}`,
    statement && excerpt(migration.source, migration.sql, statement.start + offset),
    detail && `detail: ${detail}`,
    where && `where: ${where}`,
    hint && `hint: ${hint}`,
    schema !== null && isNotFound(cause as DatabaseError) && `hint: ${NOT_FOUND_HINT}`,
    schema !== null &&
      migration.shards === null &&
      /\D0+$/.test(schema) &&
      `hint: ${schema} is the global shard, which is also changed unless --shards names only the others`,
  ];
  return lines.filter(Boolean).join("\n");
}
