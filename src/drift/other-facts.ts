import { ident, literal } from "../postgres/quote.ts";
import {
  type CatalogObject,
  type Fact,
  fact,
  type Grant,
  grantFacts,
  own,
  ownerFact,
  RANK,
} from "./facts.ts";
import { OWN } from "./neutral.ts";

/** Owner and privileges of the schema itself. */
export function schemaFacts({ data }: CatalogObject): Fact[] {
  const { owner, grants } = data as { owner: string; grants: Grant[] | null };
  const of = { id: "schema", target: `SCHEMA ${OWN}`, label: "the schema" };
  return [
    { ...ownerFact(owner, of.id, of.target, of.label), within: null },
    ...grantFacts(grants, of).map((one) => ({ ...one, within: null })),
  ];
}

/** Facts of a function, procedure or aggregate. */
export function functionFacts({ name, made, data }: CatalogObject): Fact[] {
  const { kind, owner, grants, result, definition } = data as {
    kind: string;
    owner: string;
    grants: Grant[] | null;
    result: string | null;
    definition: string;
  };
  const word = kind === "p" ? "PROCEDURE" : kind === "a" ? "AGGREGATE" : "FUNCTION";
  const id = `function ${name}`;
  const label = `${word.toLowerCase()} ${name}`;
  // An aggregate without arguments is written with an asterisk.
  const target = `${word} ${OWN}.${kind === "a" ? name.replace(/\(\)$/, "(*)") : name}`;
  const list = [kind, result ?? ""];
  return [
    fact({
      id,
      label,
      made,
      rank: RANK.function,
      content: definition,
      list,
      ddl: kind === "a" ? `-- ${label} has to be created by hand: ${definition}` : definition.trim(),
      undo: `DROP ${target}`,
      // CREATE OR REPLACE cannot change the return type.
      change: (here) => {
        if (kind === "a") return null;
        return here.list?.join() === list.join() ? [definition.trim()] : "recreate";
      },
    }),
    ownerFact(owner, id, target, label),
    // GRANT has no word for aggregates.
    ...grantFacts(grants, { id, target: kind === "a" ? `FUNCTION ${OWN}.${name}` : target, label }),
  ];
}

interface TypeData {
  readonly kind: "e" | "d" | "c" | "r";
  readonly owner: string;
  readonly grants: readonly Grant[] | null;
  readonly labels: readonly string[];
  readonly base: string | null;
  readonly collation: string | null;
  readonly default: string | null;
  readonly notNull: boolean;
  readonly attributes: readonly string[];
  readonly range: string | null;
}

/** Facts of an enum, a domain, a composite or a range type. */
export function typeFacts({ name, made, data: raw }: CatalogObject): Fact[] {
  const data = raw as TypeData;
  const id = `type ${name}`;
  const word = data.kind === "d" ? "DOMAIN" : "TYPE";
  const label = `${word.toLowerCase()} ${name}`;
  const target = `${word} ${own(name)}`;
  const head = { id, label, made, rank: RANK.type, undo: `DROP ${target}` };
  const ddl = `CREATE ${target} AS ${bodyOf(data)}`;
  const facts = [
    data.kind === "e"
      ? fact({
          ...head,
          ddl,
          list: data.labels,
          change: (here) => addLabels(target, here.list ?? [], data.labels),
        })
      : fact({
          ...head,
          ddl,
          list: data.attributes.map((one) => /^(?:"(?:[^"]|"")+"|\S+)/.exec(one)![0]),
          change: "never",
          content: data.kind === "d" ? baseOf(data) : ddl,
        }),
    ownerFact(data.owner, id, target, label),
    ...grantFacts(data.grants, { id, target: `TYPE ${own(name)}`, label }),
  ];
  return data.kind === "d" ? [...facts, ...domainFacts(data, id, target, label)] : facts;
}

const baseOf = ({ base, collation }: TypeData): string =>
  `${base}${collation ? ` COLLATE ${collation}` : ""}`;

function bodyOf(data: TypeData): string {
  if (data.kind === "e") return `ENUM (${data.labels.map(literal).join(", ")})`;
  if (data.kind === "c") return `(${data.attributes.join(", ")})`;
  if (data.kind === "r") return `RANGE (${data.range})`;
  return (
    baseOf(data) +
    (data.default === null ? "" : ` DEFAULT ${data.default}`) +
    (data.notNull ? " NOT NULL" : "")
  );
}

function domainFacts(data: TypeData, within: string, target: string, label: string): Fact[] {
  const one = (what: string, on: string, off: string): Fact =>
    fact({
      id: `${what} ${within}`,
      label: `${what} of ${label}`,
      within,
      included: true,
      rank: RANK.property,
      ddl: `ALTER ${target} SET ${on}`,
      undo: `ALTER ${target} DROP ${off}`,
    });
  return [
    ...(data.default === null ? [] : [one("default", `DEFAULT ${data.default}`, "DEFAULT")]),
    ...(data.notNull ? [one("not null", "NOT NULL", "NOT NULL")] : []),
  ];
}

/** Adds labels to an enum; null if labels would have to be removed or reordered, which is not possible. */
function addLabels(target: string, here: readonly string[], wanted: readonly string[]): string[] | null {
  const common = wanted.filter((label) => here.includes(label));
  if (common.length !== here.length || common.some((label, i) => label !== here[i])) return null;
  return wanted.flatMap((label, i) => {
    if (here.includes(label)) return [];
    // The labels before it are there by then.
    const place = i > 0 ? ` AFTER ${literal(wanted[i - 1]!)}` : here[0] ? ` BEFORE ${literal(here[0])}` : "";
    return [`ALTER ${target} ADD VALUE ${literal(label)}${place}`];
  });
}

/** Facts of extended statistics. */
export function statisticsFacts({ name, made, data }: CatalogObject): Fact[] {
  const { definition, columns, owner } = data as {
    definition: string;
    columns: readonly string[];
    owner: string;
  };
  // A server lists them as they come in the table, in which they may have another order.
  const sorted = definition.replace(columns.join(", "), () => columns.toSorted().join(", "));
  const id = `statistics ${name}`;
  const target = `STATISTICS ${own(name)}`;
  return [
    fact({
      id,
      label: id,
      made,
      rank: RANK.statistics,
      content: sorted,
      change: "recreate",
      ddl: definition,
      undo: `DROP ${target}`,
    }),
    ownerFact(owner, id, target, id),
  ];
}

const OBJECT_TYPES: Record<string, string> = {
  r: "TABLES",
  S: "SEQUENCES",
  f: "FUNCTIONS",
  T: "TYPES",
  n: "SCHEMAS",
};

/** The privileges that roles will be granted on future objects. */
export function defaultPrivilegeFacts({ data }: CatalogObject): Fact[] {
  const { role, type, grants } = data as { role: string; type: string; grants: Grant[] };
  const alter = `ALTER DEFAULT PRIVILEGES FOR ROLE ${ident(role)} IN SCHEMA ${OWN}`;
  const target = OBJECT_TYPES[type] ?? type;
  return grantFacts(grants, {
    id: `default ${role} ${type}`,
    target,
    label: `new ${target.toLowerCase()} of ${role}`,
  }).map((one) => ({
    ...one,
    within: null,
    ddl: `${alter} ${one.ddl}`,
    undo: `${alter} ${one.undo}`,
    content: one.ddl,
  }));
}

/** The fact that an object exists about which nothing else is known. */
export const otherFacts = ({ name, made, data }: CatalogObject): Fact[] => [
  fact({
    id: `other ${name}`,
    label: name,
    made,
    rank: RANK.type,
    change: "never",
    ddl: `-- ${name} has to be created by hand`,
    undo: `DROP ${name.replace((data as { type: string }).type, (words) => words.toUpperCase())}`,
  }),
];
