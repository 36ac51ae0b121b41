import { loadModule, parseSync } from "libpg-query";

/**
 * The meaning of SQL that a server has deparsed, without its form: PostgreSQL 16 and later omit the name before a column
 * if the FROM has only one item; versions differ in blanks and parentheses. Text that the parser does not understand
 * stays as it is.
 */
export async function canonicalizer(): Promise<(sql: string) => string> {
  await loadModule();
  return (sql) => {
    try {
      const parsed = parseSync(sql) as { stmts?: unknown[] };
      // What no DDL can create is described by a comment, which the parser drops.
      return parsed.stmts?.length ? JSON.stringify(simplify(parsed, [])) : sql;
    } catch {
      // From a newer version than the parser: then the texts themselves are compared.
      return sql;
    }
  };
}

type Tree = Readonly<Record<string, unknown>>;

/** Positions in the text, which differ between any two texts. */
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
  const inner = "fromClause" in tree ? onlyItem(tree["fromClause"]) : only;
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

/** The name of the only item of a FROM (a table, subquery, function, VALUES); none if there are several items. */
function onlyItem(from: unknown): string[] {
  const items = from as Record<string, { relname?: string; alias?: { aliasname: string } }>[];
  const [kind, item] = items.length === 1 ? Object.entries(items[0]!)[0]! : [];
  const name = kind === "JoinExpr" ? undefined : (item?.alias?.aliasname ?? item?.relname);
  return name === undefined ? [] : [name];
}

function unqualified(fields: readonly Tree[], only: readonly string[]): unknown {
  const [first] = fields as { String?: { sval: string } }[];
  const known = fields.length === 2 && only.includes(first?.String?.sval ?? "");
  return simplify(known ? fields.slice(1) : fields, []);
}
