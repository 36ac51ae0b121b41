import { ident } from "../postgres/quote.ts";
import { compare, type Comparison, type Facts } from "./compare.ts";
import { type Fact, fact, own as ownName, RANK } from "./facts.ts";
import { Graph } from "./graph.ts";
import { commented, leftOut } from "./left-out.ts";
import { inOrder } from "./order.ts";
import { changeOf, recreatedIds } from "./recreate.ts";
import { comment, isComment, isOutside } from "./statements.ts";
import { type Step, Steps } from "./steps.ts";

/**
 * The DDL, in neutral form, that would bring a shard in line with the reference, in an order in which it runs from start
 * to end. What no DDL can do, and what needs that, becomes a comment; statements that lose rows are preceded by one.
 */
export function fixStatements(wanted: Facts, found: Facts): string[] {
  const statements = inOrder(plan(new Graph(wanted), new Graph(found)))
    .flatMap((step) => step.statements)
    .map((one) => (isComment(one) ? comment(one) : one));
  // A new label of an enum can be used only when the transaction that added it has ended.
  return [...statements.filter(isOutside), ...statements.filter((text) => !isOutside(text))];
}

/** The steps of the repair, of which those that cannot run are comments. */
function plan(reference: Graph, here: Graph): Steps {
  const comparison = compare(reference.facts, here.facts);
  const kept = new Set<string>();
  for (;;) {
    const again = recreatedIds(comparison, reference, here, kept);
    const all = [...drops(comparison, again, here), ...makes(comparison, again, reference, here)];
    const out = leftOut(new Steps(all, reference, here));
    const ids = [...out.keys()].map(({ fact }) => fact.id).filter((id) => !kept.has(id));
    // Nothing is recreated to make way for what is left out.
    if (ids.length === 0)
      return new Steps(
        all.map((step) => commented(step, out)),
        reference,
        here,
      );
    for (const id of ids) kept.add(id);
  }
}

function drops({ more }: Comparison, again: ReadonlySet<string>, here: Graph): Step[] {
  const undone = [...more, ...keysBetween(more, here), ...[...again].map((id) => here.facts.get(id)!)];
  return undone
    .filter((fact) => fact.undo !== null && !here.owners(fact).some((id) => again.has(id)))
    .map((fact) => ({ act: "drop", fact, statements: removal(fact) }));
}

function makes(
  { less, different }: Comparison,
  again: ReadonlySet<string>,
  reference: Graph,
  here: Graph,
): Step[] {
  // What belongs to something that is dropped and created again is dropped with it.
  const isAgain = (fact: Fact): boolean =>
    again.has(fact.id) || reference.owners(fact).some((id) => again.has(id));
  const isMade = (fact: Fact): boolean => again.has(fact.id) || !fact.included;
  const added = [
    ...less.filter((fact) => !isAgain(fact)),
    ...[...reference.facts.values()].filter((fact) => isAgain(fact) && isMade(fact)),
  ];
  return [
    ...added.flatMap((fact) => [
      make(fact, [...comesToTheEnd(fact, again, reference), ...addition(fact, reference, here)]),
      ...ownDefaults(fact, reference.facts),
    ]),
    ...different
      .filter(({ wanted }) => !isAgain(wanted))
      .map(({ wanted, here: found }) => make(wanted, change(wanted, found), found)),
  ];
}

const RELATION = "relation ";

const make = (fact: Fact, statements: readonly string[], found?: Fact): Step => ({
  act: "make",
  fact,
  statements,
  found,
});

/** The statements that add a fact. Rows that are there already may violate a foreign key: `validate` tells. */
function addition(fact: Fact, reference: Graph, here: Graph): string[] {
  const { ddl, then = [], label } = fact;
  const table = reference.rootOf(fact);
  const isKey = fact.rank === RANK.foreignKey && !/ NOT (?:VALID|ENFORCED)$/.test(ddl);
  // Before 18, the key of a partitioned table cannot be NOT VALID.
  if (!isKey || !here.facts.has(table) || / PARTITION BY /.test(reference.facts.get(table)?.ddl ?? ""))
    return [ddl, ...then];
  return [`-- ${label} arrives NOT VALID: run shardferry validate`, `${ddl} NOT VALID`];
}

/** The defaults of columns that a new table has from its parent, where they are not those of the parent. */
function ownDefaults({ id, label }: Fact, reference: Facts): Step[] {
  if (!id.startsWith(RELATION)) return [];
  const table = id.slice(RELATION.length);
  const parents = [...reference.values()]
    .filter((one) => one.id.startsWith("parent ") && one.within === id)
    .flatMap(({ needs }) => needs.map((need) => need.slice(RELATION.length)));
  const valueOf = (of: string, column: string): string | undefined => {
    const ddl = reference.get(`default column ${of}.${column}`)?.ddl;
    return ddl?.slice(ddl.indexOf(" SET DEFAULT "));
  };
  return parents.flatMap((parent) => {
    const columns = reference.get(`order relation ${parent}`)?.list ?? [];
    return columns.flatMap((column) => {
      const own = valueOf(table, column);
      if (own === valueOf(parent, column)) return [];
      // ONLY: its own children have defaults of their own.
      const ddl = `ALTER TABLE ONLY ${ownName(table)} ALTER COLUMN ${ident(column)}${own ?? " DROP DEFAULT"}`;
      // After all tables: parents whose defaults differ have no common child before.
      const rank = RANK.attribute;
      const needs = [`column ${table}.${column}`];
      return [make(fact({ id: `own default ${column} ${id}`, label, within: id, rank, needs, ddl }), [ddl])];
    });
  });
}

const removal = ({ losesData, label, undo }: Fact): string[] => [
  ...(losesData ? [`-- loses the contents of ${label}`] : []),
  undo!,
];

const change = (wanted: Fact, found: Fact): readonly string[] => {
  const statements = changeOf(wanted, found);
  return statements === null || statements === "recreate" ? [impossible(wanted, found)] : statements;
};

/** The foreign keys between tables that are all dropped: there may be no order in which the tables can be dropped. */
function keysBetween(more: readonly Fact[], here: Graph): Fact[] {
  const dropped = new Set(more.map(({ id }) => id));
  return [...here.facts.values()].filter(
    ({ rank, id, within, needs }) =>
      rank === RANK.foreignKey &&
      !dropped.has(id) &&
      dropped.has(within!) &&
      needs.some((need) => {
        const fact = here.facts.get(need);
        return fact && here.rootOf(fact) !== within && dropped.has(here.rootOf(fact));
      }),
  );
}

/** A comment for a column that is recreated and that comes before others in the reference. */
function comesToTheEnd({ id, label, within }: Fact, again: ReadonlySet<string>, reference: Graph): string[] {
  const list = again.has(id) ? (reference.facts.get(`order ${within}`)?.list ?? []) : [];
  const ids = list.map((name) => `column ${within!.slice("relation ".length)}.${name}`);
  return ids.includes(id) && ids.slice(ids.indexOf(id) + 1).some((one) => !again.has(one))
    ? [`-- ${label} will be at the end of the table: no DDL can put it before others`]
    : [];
}

const impossible = (wanted: Fact, here: Fact): string =>
  comment(`${wanted.label} cannot be changed by DDL.\nWanted: ${wanted.ddl}\nThere: ${here.ddl}`);
