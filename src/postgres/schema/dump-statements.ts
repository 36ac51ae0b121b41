import { setImmediate as breathe } from "node:timers/promises";

import { loadModule, parseSync } from "libpg-query";

/** One statement of a schema dump, with what the move needs to know about it. */
export interface Statement {
  sql: string;
  /** Node type of PostgreSQL's own parser, e.g. `IndexStmt`. */
  node: string;
  /** Kind of object whose existence shows whether the statement has run; null: may run again. */
  creates:
    | "index"
    | "constraint"
    | "domain constraint"
    | "trigger"
    | "rule"
    | "policy"
    | "statistics"
    | "relation"
    | null;
  /** Name of the object that it creates, or of the constraint on which it comments. */
  name: string | null;
  /** Name of the table (relation) or domain that it is about, inside the dumped schema. */
  relation: string | null;
  constraint: "primary" | "unique" | "exclusion" | "foreign" | "other" | null;
  /** The table that a foreign key refers to. */
  refersTo: string | null;
  /** True for a foreign key that the source itself has not validated or does not enforce. */
  unvalidated: boolean;
  /** `ALTER TABLE … ENABLE ALWAYS|REPLICA TRIGGER`: the trigger's name. */
  firesOnReplication: string | null;
  /** `ALTER TABLE … REPLICA IDENTITY USING INDEX`: the index's name. */
  identityIndex: string | null;
  /** The statements by which the dump set default_tablespace and default_table_access_method before this one. */
  settings: Record<string, string>;
}

/** Settings in a dump that say where an object goes; all others are for the session that runs the dump. */
const PLACEMENT = new Set(["default_tablespace", "default_table_access_method"]);

/**
 * The statements without which changes cannot be applied: primary keys, and the unique indexes that
 * serve as replica identity, with the statements that declare them so.
 */
export function keyStatements(postData: readonly Statement[]): Statement[] {
  const identities = new Set(
    postData.map((statement) => statement.identityIndex).filter((name) => name !== null),
  );
  return postData.filter(
    (statement) =>
      statement.constraint === "primary" ||
      statement.identityIndex !== null ||
      ((statement.creates === "index" || statement.creates === "constraint") &&
        identities.has(statement.name ?? "")),
  );
}

/** True for a statement about the privileges of an object that other statements have created. */
export const grants = (statement: Statement): boolean => statement.node === "GrantStmt";

type Node = Record<string, unknown>;

/** Splits a dump into statements with PostgreSQL's own grammar, so that no quoting can fool it. */
export async function parseDump(text: string): Promise<Statement[]> {
  await loadModule();
  const statements: Statement[] = [];
  let settings: Record<string, string> = {};
  for await (const { node, tree, sql } of parsed(withoutMetaCommands(text))) {
    if (node === "VariableSetStmt") {
      const name = String(tree["name"]);
      if (PLACEMENT.has(name)) settings = { ...settings, [name]: sql };
    } else if (node !== "SelectStmt") {
      // The only SELECT of a schema dump sets search_path.
      statements.push(describe(node, tree, sql, settings));
    }
  }
  return statements;
}

/** Characters that are parsed at a time, in some 100 ms. A dump of 20,000 tables has 16 million of them. */
const PIECE = 1 << 16;

/** Where a dump begins with another object. */
const OBJECT = "\n--\n-- Name: ";

/**
 * Parses a dump piece by piece, with a pause after each, so that heartbeats are sent. The text of a function may look like the
 * beginning of an object: then a piece ends in the middle of a literal, which does not parse, and a larger one is taken.
 */
async function* parsed(text: string): AsyncGenerator<{ node: string; tree: Node; sql: string }> {
  let size = PIECE;
  for (let start = 0; start < text.length;) {
    const next = text.indexOf(OBJECT, start + size);
    const end = next < 0 ? text.length : next;
    try {
      yield* parsePiece(text.slice(start, end));
    } catch (error) {
      if (next < 0) throw error;
      size *= 2;
      continue;
    }
    [start, size] = [end, PIECE];
    await breathe();
  }
}

function parsePiece(text: string): { node: string; tree: Node; sql: string }[] {
  // The parser counts bytes, not characters.
  const bytes = Buffer.from(text);
  const { stmts = [] } = parseSync(text) as unknown as {
    stmts?: { stmt: Record<string, Node>; stmt_location?: number; stmt_len?: number }[];
  };
  return stmts.map(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
    const [node, tree] = Object.entries(stmt)[0]!;
    const sql = bytes
      .subarray(start, length ? start + length : undefined)
      .toString()
      .replace(/^(\s*--[^\n]*\n)+/, "")
      .trim();
    return { node, tree, sql };
  });
}

/**
 * Removes the two lines that only psql understands: \restrict and \unrestrict around the script. Their random key
 * distinguishes them from text inside a function body.
 */
function withoutMetaCommands(text: string): string {
  const key = /^\\restrict (\w+)$/m.exec(text)?.[1];
  return key === undefined
    ? text
    : text.replace(`\\restrict ${key}\n`, "").replace(`\\unrestrict ${key}\n`, "");
}

/** Where the parser keeps the name of what a statement creates. */
const NAME_IN: Readonly<Record<string, string>> = {
  CompositeTypeStmt: "typevar",
  CreateConversionStmt: "conversion_name",
  CreateDomainStmt: "domainname",
  CreateEnumStmt: "typeName",
  CreateFunctionStmt: "funcname",
  CreateOpClassStmt: "opclassname",
  CreateOpFamilyStmt: "opfamilyname",
  CreatePolicyStmt: "policy_name",
  CreateRangeStmt: "typeName",
  CreateSeqStmt: "sequence",
  CreateStatsStmt: "defnames",
  CreateStmt: "relation",
  CreateTrigStmt: "trigname",
  DefineStmt: "defnames",
  IndexStmt: "idxname",
  RuleStmt: "rulename",
  ViewStmt: "view",
};

/** Reads a name: by itself, as the last part of a list, or that of a relation. */
function nameOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? lastName(value) : relationName(value);
}

function describe(node: string, tree: Node, sql: string, settings: Record<string, string>): Statement {
  const base: Statement = {
    sql,
    node,
    creates: null,
    name: nameOf(tree[NAME_IN[node] ?? ""]),
    relation: relationName(tree["relation"]),
    constraint: null,
    refersTo: null,
    unvalidated: false,
    firesOnReplication: null,
    identityIndex: null,
    settings,
  };
  switch (node) {
    case "IndexStmt":
      return { ...base, creates: "index" };
    case "CreateTrigStmt":
      return { ...base, creates: "trigger" };
    case "RuleStmt":
      return tree["replace"] ? base : { ...base, creates: "rule" };
    case "CreatePolicyStmt":
      return { ...base, creates: "policy", relation: relationName(tree["table"]) };
    case "CreateFunctionStmt":
      // In post-data if it relies on a primary key: then it may run again.
      return { ...base, sql: sql.replace(/^CREATE (?=FUNCTION|PROCEDURE)/, "CREATE OR REPLACE ") };
    case "AlterDomainStmt":
      return describeAlterDomain(base, tree);
    case "CommentStmt":
      return tree["objtype"] === "OBJECT_TABCONSTRAINT" ? describeKeyComment(base, tree) : base;
    case "CreateStatsStmt":
      return { ...base, creates: "statistics" };
    case "CreateForeignTableStmt":
      return { ...base, name: relationName((tree["base"] as Node)["relation"]) };
    case "CreateTableAsStmt":
      return createsRelation(base, (tree["into"] as Node)["rel"]);
    case "ViewStmt":
      return tree["replace"] ? base : createsRelation(base, tree["view"]);
    case "AlterTableStmt":
      return describeAlterTable(base, tree);
    default:
      return base;
  }
}

function createsRelation(base: Statement, rangeVar: unknown): Statement {
  const name = relationName(rangeVar);
  return { ...base, creates: "relation", name, relation: name };
}

/** Describes COMMENT ON CONSTRAINT: the object is a schema, a table and a name. */
function describeKeyComment(base: Statement, tree: Node): Statement {
  const { items } = (tree["object"] as { List: { items: { String: { sval: string } }[] } }).List;
  const [table, name] = items.slice(-2).map(({ String: { sval } }) => sval);
  return { ...base, relation: table!, name: name! };
}

/** Describes ALTER DOMAIN: a constraint that is not valid is added after the rows. */
function describeAlterDomain(base: Statement, tree: Node): Statement {
  if (tree["subtype"] !== "C") return base;
  const { conname } = (tree["def"] as { Constraint: Node }).Constraint;
  return {
    ...base,
    creates: "domain constraint",
    relation: lastName(tree["typeName"]),
    name: String(conname),
  };
}

const CONSTRAINTS: Record<string, Statement["constraint"]> = {
  CONSTR_PRIMARY: "primary",
  CONSTR_UNIQUE: "unique",
  CONSTR_EXCLUSION: "exclusion",
  CONSTR_FOREIGN: "foreign",
};

function describeAlterTable(base: Statement, tree: Node): Statement {
  const command = (tree["cmds"] as { AlterTableCmd: Node }[])[0]?.AlterTableCmd;
  switch (command?.["subtype"]) {
    case "AT_AddConstraint": {
      const constraint = (command["def"] as { Constraint: Node }).Constraint;
      return {
        ...base,
        creates: "constraint",
        name: String(constraint["conname"]),
        constraint: CONSTRAINTS[String(constraint["contype"])] ?? "other",
        refersTo: relationName(constraint["pktable"]),
        unvalidated: constraint["skip_validation"] === true || constraint["is_enforced"] !== true,
      };
    }
    case "AT_ReplicaIdentity": {
      const { name } = (command["def"] as { ReplicaIdentityStmt: Node }).ReplicaIdentityStmt;
      return { ...base, identityIndex: typeof name === "string" ? name : null };
    }
    case "AT_EnableAlwaysTrig":
    case "AT_EnableReplicaTrig":
      return { ...base, firesOnReplication: String(command["name"]) };
    default:
      return base;
  }
}

const relationName = (rangeVar: unknown): string | null =>
  rangeVar ? String((rangeVar as Node)["relname"]) : null;

const lastName = (names: unknown): string | null => {
  const last = (names as { String: { sval: string } }[] | undefined)?.at(-1);
  return last ? last.String.sval : null;
};

/** A statement, preceded by the SETs that say in which tablespace its object goes. */
export const placed = (statement: Statement): string =>
  [...Object.values(statement.settings), statement.sql].join(";\n");
