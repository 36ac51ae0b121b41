import { byMaking, compare, type Facts } from "./compare.ts";
import type { Fact } from "./facts.ts";
import { columnOf, readersOf } from "./readers.ts";

/**
 * The DDL, in neutral form, that would bring a shard in line with the reference: first statements that remove, then
 * statements that create. What no DDL can do becomes a comment; statements that lose rows are preceded by one.
 */
export function fixStatements(reference: Facts, here: Facts): string[] {
  const { less, more, different } = compare(reference, here);
  const undone = [...more];
  const made: { fact: Fact; statements: readonly string[] }[] = less.map((fact) => ({
    fact,
    statements: [fact.ddl, ...(fact.then ?? [])],
  }));
  const again = new Set<string>();
  for (const { wanted, here: found } of different) {
    if (wanted.change === "recreate") {
      undone.push(found);
      again.add(wanted.id);
      made.push({ fact: wanted, statements: [wanted.ddl] });
      continue;
    }
    const statements =
      wanted.change === "ddl" ? [wanted.ddl] : wanted.change === "never" ? null : wanted.change(found);
    made.push({ fact: wanted, statements: statements ?? [impossible(wanted, found)] });
  }
  const retyped = different.map(({ wanted }) => wanted.id).filter((id) => id.startsWith("type column "));
  for (const fact of readersOf(reference, here, again, retyped)) {
    undone.push(here.get(fact.id)!);
    again.add(fact.id);
    made.push({ fact, statements: [fact.ddl] });
  }
  // What is built on something that is dropped and recreated is dropped with it.
  for (const fact of reference.values()) {
    if (fact.included || !isWithin(fact, again, reference)) continue;
    if (!made.some((one) => one.fact.id === fact.id)) made.push({ fact, statements: [fact.ddl] });
  }
  const drops = undone
    .filter((fact) => fact.undo !== null && !isWithin(fact, again, here))
    .sort((a, b) => byMaking(b, a))
    .flatMap((fact) =>
      fact.losesData ? [`-- loses the contents of ${fact.label}`, fact.undo!] : [fact.undo!],
    );
  const columns = new Set([...again].filter((id) => id.startsWith(COLUMN)));
  const makes = made
    // A column that is recreated already has its type and the like.
    .filter(({ fact }) => !fact.included || !isWithin(fact, columns, reference))
    .sort((a, b) => byMaking(a.fact, b.fact))
    .flatMap(({ fact, statements }) => [...comesToTheEnd(fact, columns, reference), ...statements]);
  return [...drops, ...makes];
}

const COLUMN = "column ";

/** A comment for a column that is recreated and that comes before others in the reference. */
function comesToTheEnd({ id, label }: Fact, again: ReadonlySet<string>, reference: Facts): string[] {
  if (!again.has(id)) return [];
  const { table, column } = columnOf(id, reference);
  const { list = [] } = reference.get(`order ${table}`)!;
  const sibling = (name: string): string => id.slice(0, id.length - column.length) + name;
  const behind = list.slice(list.indexOf(column) + 1).filter((name) => !again.has(sibling(name)));
  return behind.length > 0
    ? [`-- ${label} will be at the end of the table: no DDL can put it before others`]
    : [];
}

const impossible = (wanted: Fact, here: Fact): string =>
  comment(`${wanted.label} cannot be changed by DDL.\nWanted: ${wanted.ddl}\nThere: ${here.ddl}`);

const comment = (text: string): string =>
  text
    .split("\n")
    .map((line) => `-- ${line.replace(/^-- /, "")}`)
    .join("\n");

/** Whether a fact belongs to one of the given others, directly or indirectly. */
function isWithin({ within }: Fact, ids: ReadonlySet<string>, facts: Facts): boolean {
  if (within === null) return false;
  const parent = facts.get(within);
  return ids.has(within) || (parent !== undefined && isWithin(parent, ids, facts));
}
