import { ident } from "../postgres/quote.ts";
import { compare, type Facts } from "./compare.ts";
import { type Fact, fact, own as ownName, RANK } from "./facts.ts";
import { leaveOut } from "./left-out.ts";
import { nameOf, namesIn, rootOf, surface } from "./mentions.ts";
import { inOrder, type Step } from "./order.ts";
import { columnOf, readersOf } from "./readers.ts";

/**
 * The DDL, in neutral form, that would bring a shard in line with the reference, in an order in which it runs from start
 * to end. What no DDL can do, and what needs that, becomes a comment; statements that lose rows are preceded by one.
 */
export function fixStatements(reference: Facts, here: Facts): string[] {
  const { less, more, different } = compare(reference, here);
  const undone = [...more, ...keysBetween(more, here)];
  const made: Step[] = less.flatMap((fact) => [
    make(fact, addition(fact, reference, here)),
    ...ownDefaults(fact, reference),
  ]);
  const again = new Set<string>();
  for (const { wanted, here: found } of different) {
    const statements = change(wanted, found);
    if (statements === "recreate") {
      undone.push(found);
      again.add(wanted.id);
    }
    made.push(
      make(wanted, statements === "recreate" ? addition(wanted, reference, here) : statements, found),
    );
  }
  const retyped = different.map(({ wanted }) => wanted.id).filter((id) => id.startsWith("type column "));
  for (const fact of readersOf(reference, here, again, retyped)) {
    undone.push(here.get(fact.id)!);
    again.add(fact.id);
    made.push(make(fact, creation(fact)));
  }
  // What is built on something that is dropped and recreated is dropped with it.
  for (const fact of reference.values()) {
    if (fact.included || !isWithin(fact, again, reference)) continue;
    if (!made.some((one) => one.fact.id === fact.id)) made.push(make(fact, creation(fact)));
  }
  const drops = undone
    .filter((fact) => fact.undo !== null && !isWithin(fact, again, here))
    .map((fact): Step => ({ act: "drop", fact, statements: removal(fact) }));
  const columns = new Set([...again].filter((id) => id.startsWith(COLUMN)));
  const makes = made
    // A column that is recreated already has its type and the like.
    .filter(({ fact }) => !fact.included || !isWithin(fact, columns, reference))
    .map((step) => ({
      ...step,
      statements: [...comesToTheEnd(step.fact, columns, reference), ...step.statements],
    }));
  const steps = leaveOut([...drops, ...makes], reference, here);
  const statements = inOrder(steps, reference, here).flatMap((step) => step.statements);
  // A new label of an enum can be used only when the transaction that added it has ended.
  return [...statements.filter(isOutside), ...statements.filter((text) => !isOutside(text))];
}

/** True for a statement of a repair that has to be committed before the others begin, or cannot be in a transaction. */
export const isOutside = (statement: string): boolean =>
  /^(?:ALTER TYPE .* ADD VALUE|REINDEX) /.test(statement);

const COLUMN = "column ";

const make = (fact: Fact, statements: readonly string[], found?: Fact): Step => ({
  act: "make",
  fact,
  statements,
  found,
});

const creation = ({ ddl, then = [] }: Fact): string[] => [ddl, ...then];

/** The statements that add a fact. Rows that are there already may violate a foreign key: `validate` tells. */
function addition(fact: Fact, reference: Facts, here: Facts): string[] {
  const table = rootOf(fact, reference);
  const isKey = fact.rank === RANK.foreignKey && !/ NOT (?:VALID|ENFORCED)$/.test(fact.ddl);
  // Before 18, the key of a partitioned table cannot be NOT VALID.
  if (!isKey || !here.has(table) || / PARTITION BY /.test(reference.get(table)?.ddl ?? ""))
    return creation(fact);
  return [`-- ${fact.label} arrives NOT VALID: run shardferry validate`, `${fact.ddl} NOT VALID`];
}

/** The defaults of columns that a new table has from its parent, where they are not those of the parent. */
function ownDefaults({ id, label }: Fact, reference: Facts): Step[] {
  if (!id.startsWith("relation ")) return [];
  const parents = [...reference.values()].filter((one) => one.id.startsWith("parent ") && one.within === id);
  const table = id.slice("relation ".length);
  const valueOf = (of: string, column: string): Fact | undefined =>
    reference.get(`default column ${of}.${column}`);
  const text = (one: Fact | undefined): string | undefined =>
    one?.ddl.slice(one.ddl.indexOf(" SET DEFAULT "));
  return parents
    .flatMap((one) => [...namesIn(one.id.slice(0, -id.length))])
    .flatMap((parent) => {
      const columns = reference.get(`order relation ${parent}`)?.list ?? [];
      return columns.flatMap((column) => {
        const own = valueOf(table, column);
        if (text(own) === text(valueOf(parent, column))) return [];
        // ONLY: its own children have defaults of their own.
        const ddl = `ALTER TABLE ONLY ${ownName(table)} ALTER COLUMN ${ident(column)}${text(own) ?? " DROP DEFAULT"}`;
        // After all tables: parents whose defaults differ have no common child before.
        const one = fact({ id: `own default ${column} ${id}`, label, within: id, rank: RANK.attribute, ddl });
        return [make(one, [ddl])];
      });
    });
}

const removal = ({ losesData, label, undo }: Fact): string[] => [
  ...(losesData ? [`-- loses the contents of ${label}`] : []),
  undo!,
];

/** The statements that change a fact in place, or that it has to be recreated. */
function change(wanted: Fact, found: Fact): readonly string[] | "recreate" {
  if (wanted.change === "recreate") return "recreate";
  if (wanted.change === "ddl") return [wanted.ddl];
  const statements = wanted.change === "never" ? null : wanted.change(found);
  // A function with another result: what is built on it has to be recreated as well.
  if (wanted.id.startsWith("function ") && statements?.[0] === found.undo) return "recreate";
  return statements ?? [impossible(wanted, found)];
}

/** The foreign keys between tables that are all dropped: there may be no order in which the tables can be dropped. */
function keysBetween(more: readonly Fact[], here: Facts): Fact[] {
  const dropped = new Set(more.filter(({ id }) => id.startsWith("relation ")).map(nameOf));
  return [...here.values()].filter((fact) => {
    if (!fact.id.startsWith("constraint ") || !fact.ddl.includes(" FOREIGN KEY ") || more.includes(fact))
      return false;
    const own = rootOf(fact, here).slice("relation ".length);
    return dropped.has(own) && [...namesIn(surface(fact))].some((name) => name !== own && dropped.has(name));
  });
}

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
