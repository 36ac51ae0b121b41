import { loadModule, parseSync } from "libpg-query";

import { ident, qualified } from "../quote.ts";
import type { Statement } from "./dump-statements.ts";

/** From this major version on, NOT NULL is a constraint with a name, which a dump may write by itself. */
const NAMED_NOT_NULL = 18;
/** From this major version on, MAINTAIN (VACUUM, ANALYZE, REINDEX and the like) may be granted. */
const MAINTAIN = 17;

interface NotNull {
  column: string;
  /** In bytes from the begin of the statement. */
  location: number;
}

const IDENTIFIER = '(?:"(?:[^"]|"")+"|[^\\s"(),]+)';
/** `CONSTRAINT name NOT NULL column NO INHERIT` as an element of a table, with the comma after it. */
const ELEMENT = new RegExp(
  `^(?:CONSTRAINT\\s+${IDENTIFIER}\\s+)?NOT\\s+NULL\\s+${IDENTIFIER}(?:\\s+NO\\s+INHERIT)?\\s*(,?)\\s*`,
);

/**
 * Says the statements of a newer server's dump in words that a server of the given major version understands.
 * What has no such words is left, and refused by that server.
 */
export async function inWordsOf(
  serverMajor: number,
  statements: readonly Statement[],
): Promise<readonly Statement[]> {
  if (serverMajor >= NAMED_NOT_NULL) return statements;
  await loadModule();
  const owners = ownersOf(statements);
  return statements.flatMap((statement) => {
    if (statement.node === "CreateStmt") return inOldWords(statement);
    if (statement.node === "GrantStmt" && serverMajor < MAINTAIN) return withoutMaintain(statement, owners);
    return [statement];
  });
}

/** The owners of tables, by the tables' names. */
function ownersOf(statements: readonly Statement[]): Map<string, string> {
  const owners = new Map<string, string>();
  for (const { node, sql, relation } of statements) {
    if (node !== "AlterTableStmt" || relation === null || !sql.includes(" OWNER TO ")) continue;
    const { cmds } = treeOf<{ cmds: { AlterTableCmd: { newowner?: RoleSpec } }[] }>(sql);
    const owner = cmds[0]?.AlterTableCmd.newowner?.rolename;
    if (owner !== undefined) owners.set(relation, owner);
  }
  return owners;
}

/** Before there was that privilege, an owner had what it allows, and nobody else could be given it. */
function withoutMaintain(statement: Statement, owners: ReadonlyMap<string, string>): Statement[] {
  if (!/\bMAINTAIN\b/.test(statement.sql)) return [statement];
  const {
    objtype,
    objects,
    grantees,
    privileges = [],
  } = treeOf<{
    objtype: string;
    objects: { RangeVar: RangeVar }[];
    grantees: { RoleSpec: RoleSpec }[];
    /** Not there for ALL. */
    privileges?: unknown[];
  }>(statement.sql);
  const owner = objtype === "OBJECT_TABLE" ? owners.get(objects[0]!.RangeVar.relname) : undefined;
  if (owner === undefined || grantees.some(({ RoleSpec: { rolename } }) => rolename !== owner))
    return [statement];
  if (privileges.length === 1) return [];
  // The list of privileges stands before everything that could have such a name.
  return [{ ...statement, sql: statement.sql.replace(/,MAINTAIN\b|\bMAINTAIN,/, "") }];
}

/**
 * A child table that has a key on an inherited column is dumped by 18 with an element `NOT NULL id`, which is a
 * syntax error before; there the column is made so by an ALTER TABLE of its own.
 */
function inOldWords(statement: Statement): Statement[] {
  const { schema, table, notNulls } = notNullElements(statement.sql);
  if (notNulls.length === 0) return [statement];
  let sql = Buffer.from(statement.sql);
  for (const { location } of notNulls.toReversed()) {
    const before = sql.subarray(0, location).toString();
    const after = sql.subarray(location).toString();
    const [element, comma] = ELEMENT.exec(after) ?? [];
    if (element === undefined) throw new Error(`no NOT NULL at ${location} of ${statement.sql}`);
    // The last one of several elements takes away the comma before it.
    sql = Buffer.from((comma ? before : before.replace(/,\s*$/, "")) + after.slice(element.length));
  }
  const alter = notNulls.map(({ column }) => ({
    ...statement,
    node: "AlterTableStmt",
    sql: `ALTER TABLE ONLY ${qualified(schema, table)} ALTER COLUMN ${ident(column)} SET NOT NULL`,
  }));
  return [{ ...statement, sql: sql.toString() }, ...alter];
}

/** The NOT NULL constraints that are elements of their own in a CREATE TABLE. */
function notNullElements(sql: string): { schema: string; table: string; notNulls: NotNull[] } {
  const { relation, tableElts = [] } = treeOf<{
    relation: RangeVar;
    tableElts?: { Constraint?: Constraint }[];
  }>(sql);
  const notNulls = tableElts.flatMap(({ Constraint: constraint }) =>
    constraint?.contype === "CONSTR_NOTNULL"
      ? [{ column: constraint.keys[0]!.String.sval, location: constraint.location }]
      : [],
  );
  return { schema: relation.schemaname, table: relation.relname, notNulls };
}

/** The parse tree of one statement. */
function treeOf<T>(sql: string): T {
  const { stmts } = parseSync(sql) as unknown as { stmts: { stmt: Record<string, T> }[] };
  return Object.values(stmts[0]!.stmt)[0]!;
}

interface RangeVar {
  schemaname: string;
  relname: string;
}

interface RoleSpec {
  /** Not there for PUBLIC. */
  rolename?: string;
}

interface Constraint {
  contype: string;
  keys: { String: { sval: string } }[];
  location: number;
}
