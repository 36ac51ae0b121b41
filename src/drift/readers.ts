import type { Facts } from "./compare.ts";
import { type Fact, RANK } from "./facts.ts";
import { isAtomic, nameOf, namesIn, surface } from "./mentions.ts";
import { OWN } from "./neutral.ts";

const RELATION = "relation ";
const TYPE = "type column ";

/**
 * Finds what both shards have and what would block a change in PostgreSQL: views on a view that is recreated or on a
 * table whose column changes its type, whatever else reads that column, and what calls a function that is recreated. All of it has to be recreated, too. A
 * generated column that reads the column is dropped in between, with everything that reads the generated one.
 * @param again ids of what is recreated anyway
 * @param retyped ids of the types of columns that change
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
  const functions = new Set(
    [...again].filter((id) => id.startsWith("function ")).map((id) => nameOf(reference.get(id)!)!),
  );
  const generated = generatedFrom(columns, functions, reference, here);
  const rebuilt = [
    ...columns.map(({ table }) => table),
    ...[...again].filter((id) => id.startsWith(RELATION)),
  ];
  for (const one of candidates) {
    if (!isRebuilt(one) || !callsAny(functions, surface(one))) continue;
    found.set(one.id, one);
    if (one.rank === RANK.view) rebuilt.push(one.id);
  }
  for (const relation of rebuilt) {
    for (const one of candidates) {
      if (one.rank !== RANK.view || found.has(one.id) || !mentions(one.ddl, relation)) continue;
      found.set(one.id, one);
      // So that the loop also reaches what is built on it.
      rebuilt.push(one.id);
    }
  }
  for (const { table, column } of columns) {
    for (const one of candidates) {
      if (one.rank === RANK.trigger && one.within === table && isWord(column, one.ddl))
        found.set(one.id, one);
    }
  }
  for (const { fact, table, column } of generated) {
    found.set(fact.id, fact);
    for (const one of candidates) {
      const isNear = one.within === table || mentions(one.ddl, table);
      if (READ_COLUMNS.has(one.rank) && isNear && isWord(column, one.ddl)) found.set(one.id, one);
    }
  }
  return [...found.values()];
}

/** Whether something can be removed and made again without a loss. */
const isRebuilt = (one: Fact): boolean => one.undo !== null && (one.change === "recreate" || isAtomic(one));

const callsAny = (functions: ReadonlySet<string>, text: string): boolean =>
  functions.size > 0 && [...namesIn(text)].some((name) => functions.has(name));

/** What is dropped with a column, or prevents it from being dropped. */
const READ_COLUMNS: ReadonlySet<number> = new Set([
  ...[RANK.key, RANK.index, RANK.foreignKey, RANK.statistics, RANK.trigger],
]);

interface Column {
  table: string;
  column: string;
}

/** The generated columns that read one of the given columns of their table, or call one of the functions, on both sides. */
function generatedFrom(
  columns: readonly Column[],
  functions: ReadonlySet<string>,
  reference: Facts,
  here: Facts,
): (Column & { fact: Fact })[] {
  return [...here.values()].flatMap(({ id, within, content }) => {
    const fact = reference.get(within ?? "");
    if (!fact || fact.inherited || !id.startsWith("expression column ") || !reference.has(id)) return [];
    const place = columnOf(fact.id, reference);
    const reads = columns.some(({ table, column }) => table === place.table && isWord(column, content));
    return reads || callsAny(functions, content) ? [{ ...place, fact }] : [];
  });
}

/** The table and the name of a column, from the id of its fact. */
export const columnOf = (id: string, facts: Facts): Column => placeOf(`type ${id}`, facts);

/** The table and the name of a column whose type changes. */
function placeOf(id: string, facts: Facts): Column {
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
