import { setImmediate as breathe } from "node:timers/promises";

import { loadModule, parseSync } from "libpg-query";

import { ident, qualified } from "../quote.ts";
import type { SchemaDump } from "./dump.ts";
import type { Statement } from "./dump-statements.ts";
import { canBeNotValid } from "./unvalidated-keys.ts";

/** From this major version on, NOT NULL is a named constraint, which a dump may write as a separate element. */
const NAMED_NOT_NULL = 18;
/** From this major version on, MAINTAIN (VACUUM, ANALYZE, REINDEX and the like) can be granted. */
const MAINTAIN = 17;

interface NotNull {
  column: string;
  /** In bytes from the beginning of the statement. */
  location: number;
}

const IDENTIFIER = '(?:"(?:[^"]|"")+"|[^\\s"(),]+)';
/** `CONSTRAINT name NOT NULL column NO INHERIT` as an element of a table, with the comma after it. */
const ELEMENT = new RegExp(
  `^(?:CONSTRAINT\\s+${IDENTIFIER}\\s+)?NOT\\s+NULL\\s+${IDENTIFIER}(?:\\s+NO\\s+INHERIT)?\\s*(,?)\\s*`,
);

/** What may be such an element. Most tables have none, and need not be parsed again. */
const SEPARATE_NOT_NULL = new RegExp(`(?:^|[(,])\\s*(?:CONSTRAINT\\s+${IDENTIFIER}\\s+)?NOT\\s+NULL\\s`, "m");

/**
 * Rewrites the dump of a newer server so that a server of the given major version understands it. Statements that cannot be
 * rewritten are left as they are, and that server refuses them.
 */
export async function inWordsOf(serverMajor: number, dump: SchemaDump): Promise<SchemaDump> {
  const preData = dump.preData.flatMap(withoutColumnVersion);
  const postData = dump.postData.flatMap(withoutColumnVersion);
  if (serverMajor >= NAMED_NOT_NULL) return { preData, postData };
  await loadModule();
  const all = [...preData, ...postData];
  const owners =
    serverMajor < MAINTAIN && all.some(grantsMaintain) ? await ownersOf(all) : new Map<string, string>();
  const reworded = (statements: readonly Statement[]): Promise<Statement[]> =>
    forEach(statements, (statement) => inOldWords(serverMajor, statement, owners));
  return { preData: await reworded(preData), postData: await reworded(postData) };
}

/** Statements after which there is a pause, so that heartbeats are sent. */
const BREATH = 500;

async function forEach<T>(
  statements: readonly Statement[],
  make: (statement: Statement) => readonly T[],
): Promise<T[]> {
  const made: T[] = [];
  for (const [i, statement] of statements.entries()) {
    if (i % BREATH === 0) await breathe();
    made.push(...make(statement));
  }
  return made;
}

function inOldWords(
  serverMajor: number,
  statement: Statement,
  owners: ReadonlyMap<string, string>,
): Statement[] {
  if (statement.node === "CreateStmt") return withSeparateNotNulls(statement);
  if (statement.node === "GrantStmt" && serverMajor < MAINTAIN) return withoutMaintain(statement, owners);
  // A dump names ONLY the table, unless it is partitioned.
  if (
    statement.constraint === "foreign" &&
    !canBeNotValid(serverMajor, !/^ALTER TABLE ONLY /.test(statement.sql))
  )
    return [withoutNotValid(statement)];
  return [statement];
}

/**
 * Newer minors keep a number of their own among the options of each column, and an older pg_dump writes it as if somebody
 * had set it. Servers either set it themselves or refuse it.
 */
function withoutColumnVersion(statement: Statement): Statement[] {
  if (statement.node !== "AlterTableStmt" || !/[(\s]pg_attver=\d+[,)]/.test(statement.sql))
    return [statement];
  const sql = statement.sql.replace(/,\s*pg_attver=\d+(?=[,)])|pg_attver=\d+(?:,\s*|(?=\)))/, "");
  return /\(\s*\)$/.test(sql) ? [] : [{ ...statement, sql }];
}

/** An earlier move has left the key NOT VALID. */
const withoutNotValid = (statement: Statement): Statement =>
  / NOT VALID$/.test(statement.sql)
    ? { ...statement, sql: statement.sql.replace(/ NOT VALID$/, ""), unvalidated: false }
    : statement;

/** The owners of tables, by the tables' names. */
async function ownersOf(statements: readonly Statement[]): Promise<Map<string, string>> {
  const owners = await forEach(statements, ({ node, sql, relation }): [string, string][] => {
    if (node !== "AlterTableStmt" || relation === null || !sql.includes(" OWNER TO ")) return [];
    const { cmds } = treeOf<{ cmds: { AlterTableCmd: { newowner?: RoleSpec } }[] }>(sql);
    const owner = cmds[0]?.AlterTableCmd.newowner?.rolename;
    return owner === undefined ? [] : [[relation, owner]];
  });
  return new Map(owners);
}

const grantsMaintain = ({ node, sql }: Statement): boolean =>
  node === "GrantStmt" && /\bMAINTAIN\b/.test(sql);

/** Before that privilege existed, owners had the right that it grants, and nobody else could be given it. */
function withoutMaintain(statement: Statement, owners: ReadonlyMap<string, string>): Statement[] {
  if (!grantsMaintain(statement)) return [statement];
  const {
    objtype,
    objects,
    grantees,
    privileges = [],
  } = treeOf<{
    objtype: string;
    objects: { RangeVar: RangeVar }[];
    grantees: { RoleSpec: RoleSpec }[];
    /** Missing for ALL. */
    privileges?: unknown[];
  }>(statement.sql);
  const owner = objtype === "OBJECT_TABLE" ? owners.get(objects[0]!.RangeVar.relname) : undefined;
  if (owner === undefined || grantees.some(({ RoleSpec: { rolename } }) => rolename !== owner))
    return [statement];
  if (privileges.length === 1) return [];
  // The list of privileges comes before everything that could have such a name.
  return [{ ...statement, sql: statement.sql.replace(/,MAINTAIN\b|\bMAINTAIN,/, "") }];
}

/**
 * PostgreSQL 18 dumps a child table that has a key on an inherited column with an element `NOT NULL id`, which is a
 * syntax error in older versions; for these, a separate ALTER TABLE makes the column NOT NULL.
 */
function withSeparateNotNulls(statement: Statement): Statement[] {
  if (!SEPARATE_NOT_NULL.test(statement.sql)) return [statement];
  const { schema, table, notNulls } = notNullElements(statement.sql);
  if (notNulls.length === 0) return [statement];
  let sql = Buffer.from(statement.sql);
  for (const { location } of notNulls.toReversed()) {
    const before = sql.subarray(0, location).toString();
    const after = sql.subarray(location).toString();
    const [element, comma] = ELEMENT.exec(after) ?? [];
    if (element === undefined) throw new Error(`no NOT NULL at ${location} of ${statement.sql}`);
    // The last of several elements is removed with the comma before it.
    sql = Buffer.from((comma ? before : before.replace(/,\s*$/, "")) + after.slice(element.length));
  }
  const alter = notNulls.map(({ column }) => ({
    ...statement,
    node: "AlterTableStmt",
    sql: `ALTER TABLE ONLY ${qualified(schema, table)} ALTER COLUMN ${ident(column)} SET NOT NULL`,
  }));
  return [{ ...statement, sql: sql.toString() }, ...alter];
}

/** The NOT NULL constraints that are separate elements of a CREATE TABLE. */
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
  /** Missing for PUBLIC. */
  rolename?: string;
}

interface Constraint {
  contype: string;
  keys: { String: { sval: string } }[];
  location: number;
}
