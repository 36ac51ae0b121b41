import type { IslandName } from "../../contract/names.ts";

/** Something that `doctor` or preflight found. */
export interface Finding {
  /** What kind of finding it is; stable, and listed in docs/operations.md. */
  readonly code: FindingCode;
  /** Null if it concerns several islands. */
  readonly island: IslandName | null;
  /** A problem prevents moves; a warning is worth knowing. */
  readonly severity: "problem" | "warning";
  /** What is wrong, and what to change. */
  readonly text: string;
  /** Statements that would correct it on that island, each with its semicolon; empty if no SQL does. */
  readonly sql: readonly string[];
}

/** Every kind of finding, and what several of that kind are called. */
export const FINDINGS = {
  // Of both islands of a move or copy.
  same_database: "two names of one database",
  schema: "schemas that are missing, or in the way",
  server_version: "versions, replicas and programs",
  activation: "shards that are not active where they should be",
  encoding: "different encodings",
  source_capacity: "settings and rights of a source",
  destination_capacity: "settings and rights of a destination",
  way_back_open: "shards with an open way back",
  way_back: "what a way back needs",
  tablesync_timeout: "timeouts that end a tablesync",
  worker_settings: "settings that change replicated rows",
  replicas_hidden: "physical replicas whose lag is hidden",
  pgoptions: "PGOPTIONS that the destination does not accept",
  standbys: "synchronous standbys that are missing",
  prepared_transactions: "forgotten prepared transactions",
  foreign_replication: "replication of the same move from elsewhere",
  locked_copies: "tables that cannot be copied under the lock",
  large_objects: "columns that refer to large objects",
  money_format: "columns of type money that would be read differently",
  locales: "tables partitioned by ranges of text",
  publications: "publications that need a replica identity",
  search_path: "expressions that need a search_path",
  links: "links with other schemas",
  roles: "missing roles",
  tablespaces: "missing tablespaces",
  hash_partitions: "tables partitioned by a hash of OIDs",
  locks: "room in the lock table",
  rehearsal: "what would stop the switch",
  outside_objects: "missing objects of other schemas",
  structure: "objects that the destination does not understand",
  source_unreachable: "a source that the destination's server cannot reach",
  // Warnings about a move or copy.
  affected_by_move: "what the move changes for others",
  no_key: "tables without a key",
  copied_while_blocked: "what is copied while writers wait",
  other_locale: "databases with different locales",
  arrives_different: "what is different on the destination",
  structure_untried: "structures that are too large to be tried",
  event_triggers: "event triggers",
  blockers_rights: "rights to end blockers",
  // Of one island, or of all of them.
  pg_dump: "missing programs",
  no_prepared_transactions: "islands where `migrate` cannot work",
  sql_api: "missing or different SQL functions",
  history: "islands without a history",
  unused_slot: "replication slots that are not in use",
  replica_identity: "tables with REPLICA IDENTITY FULL",
  half_made_copy: "half-made copies",
  foreign_keys_not_validated: "shards with foreign keys that are not validated",
  active_twice: "shards that are active twice",
  colliding_sequences: "sequences with the same values in several shards",
  // Of Temporal.
  temporal: "Temporal",
  no_worker: "missing workers",
} as const satisfies Readonly<Record<string, string>>;

export type FindingCode = keyof typeof FINDINGS;

/** A remedy in SQL follows the last colon of a check's text. What has a `…` in it, or a choice, is for people. */
const REMEDY = /: ((?:ALTER|CREATE|DROP|GRANT|REVOKE) [^…]*)$/;
const RAISE = /\(\d+ of (\d+) in use\): raise (\w+) there$/;
const RAISE_TO = /: raise (\w+) there to (\d+) or more, and restart it$/;
const WAL_LEVEL = /: set wal_level = logical there and restart it$/;

/**
 * Makes a finding of the text of a check. The island that the text names last is the one to correct, and the remedy
 * after the last colon is the SQL for it.
 */
export function findingOf(
  code: FindingCode,
  severity: Finding["severity"],
  text: string,
  islands: readonly IslandName[],
): Finding {
  const remedy = text.search(REMEDY);
  const named = remedy < 0 ? text : text.slice(0, remedy);
  const at = (name: IslandName): number => named.lastIndexOf(name);
  const island = islands.filter((name) => at(name) >= 0).sort((a, b) => at(b) - at(a))[0] ?? null;
  return { code, island, severity, text, sql: statementsOf(text) };
}

function statementsOf(text: string): string[] {
  const [, remedy] = REMEDY.exec(text) ?? [];
  // Whoever runs it has the same default as everybody.
  if (remedy?.endsWith(" SET default_transaction_read_only = off"))
    return ["SET default_transaction_read_only = off;", `${remedy};`];
  if (remedy !== undefined) return [`${remedy};`];
  if (WAL_LEVEL.test(text)) return ["ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server"];
  const [, limit, full] = RAISE.exec(text) ?? [];
  const [, setting = full, value = 2 * Number(limit)] = RAISE_TO.exec(text) ?? [];
  return setting === undefined ? [] : [`ALTER SYSTEM SET ${setting} = ${value}; -- then restart the server`];
}
