import { loadModule, parseSync } from "libpg-query";

/**
 * The meaning of SQL that a server has deparsed, without its form: PostgreSQL 16 and later leave out the table's name
 * before a column where there is only one table; versions differ in blanks and parentheses. Text that the parser does
 * not know stays as it is.
 */
export async function canonicalizer(): Promise<(sql: string) => string> {
  await loadModule();
  return (sql) => {
    try {
      const parsed = parseSync(sql) as { stmts?: unknown[] };
      // What no DDL can make is described by a comment, of which the parser keeps nothing.
      return parsed.stmts?.length ? JSON.stringify(simplify(parsed, [])) : sql;
    } catch {
      // Of a newer version than the parser: the text itself tells whether it is the same.
      return sql;
    }
  };
}

type Tree = Readonly<Record<string, unknown>>;

/** Where something stands, which no two texts have in common. */
const POSITIONS = new Set([
  "location",
  "stmt_location",
  "stmt_len",
  "rexpr_list_start",
  "rexpr_list_end",
  "list_start",
  "list_end",
  "version",
]);

function simplify(node: unknown, only: readonly string[]): unknown {
  if (Array.isArray(node)) return node.map((one) => simplify(one, only));
  if (typeof node !== "object" || node === null) return node;
  const tree = node as Tree;
  const inner = "fromClause" in tree ? onlyTable(tree["fromClause"]) : only;
  const entries = Object.entries(tree).filter(([key]) => !POSITIONS.has(key));
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      key === "ColumnRef"
        ? { fields: unqualified((value as Tree)["fields"] as Tree[], inner) }
        : simplify(value, inner),
    ]),
  );
}

/** The names under which the only table of a query is known; none when there are several. */
function onlyTable(from: unknown): string[] {
  const tables = from as { RangeVar?: { relname: string; alias?: { aliasname: string } } }[];
  const only = tables.length === 1 ? tables[0]!.RangeVar : undefined;
  return only ? [only.alias?.aliasname ?? only.relname] : [];
}

function unqualified(fields: readonly Tree[], only: readonly string[]): unknown {
  const [first] = fields as { String?: { sval: string } }[];
  const known = fields.length === 2 && only.includes(first?.String?.sval ?? "");
  return simplify(known ? fields.slice(1) : fields, []);
}
