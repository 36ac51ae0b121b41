import type { Facts } from "./compare.ts";
import { type Fact, RANK } from "./facts.ts";
import { OWN } from "./neutral.ts";

const RELATION = "relation ";
const TYPE = "type column ";

/**
 * What both shards have alike and PostgreSQL would not let a change pass by: views on a view that is made again or on
 * a table of which a column gets another type, and what else reads that column. It is to be made again, too.
 * @param again ids of what is made again anyway
 * @param retyped ids of types of columns that change
 */
export function readersOf(
  reference: Facts,
  here: Facts,
  again: ReadonlySet<string>,
  retyped: readonly string[],
): Fact[] {
  const found = new Map<string, Fact>();
  const candidates = [...reference.values()].filter(({ id }) => here.has(id) && !again.has(id));
  const columns = retyped.map((id) => placeOf(id, reference));
  const rebuilt = [
    ...columns.map(({ table }) => table),
    ...[...again].filter((id) => id.startsWith(RELATION)),
  ];
  for (const relation of rebuilt) {
    for (const one of candidates) {
      if (one.rank !== RANK.view || found.has(one.id) || !mentions(one.ddl, relation)) continue;
      found.set(one.id, one);
      // The loop comes to what was built on it, too.
      rebuilt.push(one.id);
    }
  }
  for (const { table, column } of columns) {
    for (const one of candidates) {
      if (one.rank === RANK.trigger && one.within === table && isWord(column, one.ddl))
        found.set(one.id, one);
    }
  }
  return [...found.values()];
}

/** The table and the name of a column whose type changes. */
function placeOf(id: string, facts: Facts): { table: string; column: string } {
  const table = facts.get(facts.get(id)!.within!)!.within!;
  return { table, column: id.slice(TYPE.length + table.length - RELATION.length + 1) };
}

/** Whether a definition, in which all names are qualified, reads a relation. */
function mentions(ddl: string, relation: string): boolean {
  const name = relation.slice(RELATION.length);
  return [name, `"${name.replaceAll('"', '""')}"`].some((written) => isWord(`${OWN}.${written}`, ddl));
}

const isWord = (word: string, text: string): boolean =>
  new RegExp(`(?<![\\w$])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?![\\w$])`, "u").test(text);
