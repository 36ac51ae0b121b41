import type { MigrateMode } from "../../contract/migrate.ts";

/** A node of PostgreSQL's parse tree. */
export type Node = Record<string, unknown>;

/** Statements that PostgreSQL runs only outside transactions: their common names, by their nodes. */
const NEVER_IN_A_TRANSACTION: Record<string, string> = {
  AlterSystemStmt: "ALTER SYSTEM",
  CreatedbStmt: "CREATE DATABASE",
  DropdbStmt: "DROP DATABASE",
  CreateTableSpaceStmt: "CREATE TABLESPACE",
  DropTableSpaceStmt: "DROP TABLESPACE",
  CreateSubscriptionStmt: "CREATE SUBSCRIPTION",
  AlterSubscriptionStmt: "ALTER SUBSCRIPTION",
  DropSubscriptionStmt: "DROP SUBSCRIPTION",
};

/** The settings on which the migration itself relies. */
const OWN_SETTINGS = new Set([
  "search_path",
  "role",
  "session_authorization",
  "lock_timeout",
  "statement_timeout",
  "transaction_timeout",
  "idle_in_transaction_session_timeout",
  "transaction_isolation",
]);

/** Why a statement cannot be part of a migration; null if it can. */
export function refusalOf(node: string, tree: Node, mode: MigrateMode): string | null {
  const always = alwaysRefused(node, tree);
  if (always !== null || mode === "each") return always;
  const concurrent = outsideOfTransactions(node, tree);
  if (concurrent !== null) {
    return `${concurrent} cannot run inside a transaction, and so not in all shards or none: put it into a separate migration with --mode=each, which changes one shard at a time and can be run again.`;
  }
  return unpreparable(node, tree);
}

function alwaysRefused(node: string, tree: Node): string | null {
  if (node in NEVER_IN_A_TRANSACTION)
    return `${NEVER_IN_A_TRANSACTION[node]} is about the server, not about a shard.`;
  switch (node) {
    case "TransactionStmt":
      return "A migration is a transaction by itself: leave out BEGIN, COMMIT, ROLLBACK, SAVEPOINT and the like (with --mode=all, BEGIN and COMMIT may stand around the whole of it).";
    case "VariableSetStmt":
      return settingRefused(tree);
    case "SelectStmt":
      return setsConfig(tree)
        ? "search_path and timeouts are set by the migration: leave out set_config() for these."
        : null;
    case "DiscardStmt":
      return "DISCARD resets the settings of the migration: leave it out.";
    case "CreateRoleStmt":
    case "AlterRoleStmt":
    case "CreateUserMappingStmt":
    case "AlterUserMappingStmt":
      return "Roles and user mappings belong to the server and not to a shard, and a password must not get into the history of a workflow: do it separately.";
    case "CopyStmt":
      return tree["filename"]
        ? null
        : "COPY from or to the client is not possible, since there is no client to send or receive rows: use INSERT.";
    default:
      return null;
  }
}

function settingRefused(tree: Node): string | null {
  const name = ((tree["name"] as string | undefined) ?? "").toLowerCase();
  if (name === "search_path")
    return "search_path is set by the migration, to one shard after the other: leave out SET search_path.";
  const all = tree["kind"] === "VAR_RESET_ALL";
  const multi = tree["kind"] === "VAR_SET_MULTI";
  return all || multi || OWN_SETTINGS.has(name)
    ? `The migration itself relies on ${all ? "the settings of the session" : name.replace("_", " ")}: leave out the statement.`
    : null;
}

/** The common name of a statement that cannot run in a transaction at all; null for all others. */
export function outsideOfTransactions(node: string, tree: Node): string | null {
  switch (node) {
    case "IndexStmt":
      return tree["concurrent"] ? "CREATE INDEX CONCURRENTLY" : null;
    case "DropStmt":
      return tree["concurrent"] ? "DROP INDEX CONCURRENTLY" : null;
    case "VacuumStmt":
      return tree["is_vacuumcmd"] ? "VACUUM" : null;
    case "ClusterStmt":
      return tree["relation"] ? null : "CLUSTER without a table";
    case "ReindexStmt":
      if (
        ["REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE"].includes(
          String(tree["kind"]),
        )
      )
        return "REINDEX of a whole schema or database";
      return hasOption(tree["params"], "concurrently") ? "REINDEX CONCURRENTLY" : null;
    case "AlterTableStmt":
      return JSON.stringify(tree["cmds"] ?? []).includes('"concurrent":true')
        ? "DETACH PARTITION CONCURRENTLY"
        : null;
    default:
      return null;
  }
}

/** Statements that PREPARE TRANSACTION refuses. */
function unpreparable(node: string, tree: Node): string | null {
  const because = "cannot be part of a transaction across several servers";
  if (["ListenStmt", "UnlistenStmt", "NotifyStmt"].includes(node)) return `LISTEN and NOTIFY ${because}.`;
  if (node === "DeclareCursorStmt") return `A cursor ${because}.`;
  return isTemporary(node, tree) ? `A temporary object ${because}.` : null;
}

const RELATION_OF: Record<string, (tree: Node) => unknown> = {
  CreateStmt: (tree) => tree["relation"],
  CreateTableAsStmt: (tree) => (tree["into"] as Node | undefined)?.["rel"],
  SelectStmt: (tree) => (tree["intoClause"] as Node | undefined)?.["rel"],
  ViewStmt: (tree) => tree["view"],
  CreateSeqStmt: (tree) => tree["sequence"],
};

function isTemporary(node: string, tree: Node): boolean {
  const relation = RELATION_OF[node]?.(tree) as Node | undefined;
  return relation?.["relpersistence"] === "t" || relation?.["schemaname"] === "pg_temp";
}

const hasOption = (options: unknown, name: string): boolean =>
  ((options ?? []) as { DefElem: Node }[]).some(({ DefElem }) => DefElem["defname"] === name);

/** True for set_config() with the name of one of our own settings as a literal, anywhere in the statement. */
function setsConfig(tree: unknown): boolean {
  if (typeof tree !== "object" || tree === null) return false;
  const call = (tree as { FuncCall?: { funcname?: unknown; args?: unknown[] } }).FuncCall;
  if (call && JSON.stringify(call.funcname).includes('"set_config"')) {
    const [name] = (call.args ?? []) as { A_Const?: { sval?: { sval?: string } } }[];
    if (OWN_SETTINGS.has(name?.A_Const?.sval?.sval?.toLowerCase() ?? "")) return true;
  }
  return Object.values(tree).some(setsConfig);
}
