import { ident } from "../postgres/quote.ts";
import {
  type CatalogObject,
  type Fact,
  fact,
  type Grant,
  grantFacts,
  own,
  RANK,
  RELATION_WORDS,
} from "./facts.ts";
import { OWN } from "./neutral.ts";
import { identityOptions, type SequenceData } from "./sequence-facts.ts";

export interface ColumnData {
  readonly relationKind: "r" | "p" | "v" | "f";
  readonly type: string;
  readonly collation: string | null;
  readonly notNull: boolean;
  readonly identity: "" | "a" | "d";
  readonly generated: "" | "s" | "v";
  readonly default: string | null;
  readonly storage: string;
  readonly usualStorage: string;
  readonly compression: string;
  readonly statistics: number | null;
  readonly options: readonly string[] | null;
  /** True if the column exists only because the parent of the table, or its type, has it. */
  readonly inherited: boolean;
  readonly grants: readonly Grant[] | null;
}

const STORAGE: Record<string, string> = { p: "PLAIN", e: "EXTERNAL", m: "MAIN", x: "EXTENDED" };
const COMPRESSION: Record<string, string> = { p: "pglz", l: "lz4" };
const GENERATED = { a: "ALWAYS", d: "BY DEFAULT" } as const;

const typeOf = ({ type, collation }: ColumnData): string => type + (collation ? ` COLLATE ${collation}` : "");

const expression = ({ default: text, generated }: ColumnData): string =>
  `GENERATED ALWAYS AS (${text}) ${generated === "v" ? "VIRTUAL" : "STORED"}`;

/** `"name" type …`, as in CREATE TABLE. */
export function columnDefinition(
  { parent, name, data: raw }: CatalogObject,
  identities: ReadonlyMap<string, SequenceData>,
): string {
  const data = raw as ColumnData;
  const value = data.generated
    ? ` ${expression(data)}`
    : data.identity
      ? ` ${identity(data.identity, identities.get(`${parent}.${name}`))}`
      : data.default === null
        ? ""
        : ` DEFAULT ${data.default}`;
  return `${ident(name)} ${typeOf(data)}${value}${data.notNull ? " NOT NULL" : ""}`;
}

const identity = (kind: "a" | "d", sequence: SequenceData | undefined): string =>
  `GENERATED ${GENERATED[kind]} AS IDENTITY${sequence ? ` (${identityOptions(sequence).join(" ")})` : ""}`;

/** The facts of one column. */
export function columnFacts(column: CatalogObject, identities: ReadonlyMap<string, SequenceData>): Fact[] {
  const { parent, name, made, data: raw } = column;
  const data = raw as ColumnData;
  const id = `column ${parent}.${name}`;
  const label = `column ${name} of ${parent}`;
  const alter = `ALTER ${RELATION_WORDS[data.relationKind]} ${own(parent!)}`;
  const one: One = (what, given) =>
    fact({
      id: `${what} ${id}`,
      label: `${what} of ${label}`,
      within: data.relationKind === "v" ? `relation ${parent}` : id,
      // After the column itself, which is created late if it is generated.
      rank: data.generated ? RANK.attribute + 3 : RANK.attribute,
      included: true,
      ...given,
      ddl: `${alter} ALTER COLUMN ${ident(name)} ${given.ddl}`,
      undo: given.undo ? `${alter} ALTER COLUMN ${ident(name)} ${given.undo}` : null,
    });
  const value = data.generated
    ? []
    : valueFacts(one, data, identities.get(`${parent}.${name}`), name, parent!);
  // Everything else about a view's column follows from its query, and CREATE VIEW has no defaults.
  if (data.relationKind === "v")
    return value.map((each) => ({ ...each, included: false, rank: RANK.property }));
  const there = fact({
    id,
    label,
    within: `relation ${parent}`,
    included: true,
    made,
    losesData: !data.generated,
    // A generated column reads others, whose types change first.
    rank: data.generated ? RANK.attribute + 2 : RANK.column,
    content: "",
    ddl: `${alter} ADD COLUMN ${columnDefinition(column, identities)}`,
    undo: `${alter} DROP COLUMN ${ident(name)}`,
  });
  return [
    ...[there, ...shapeFacts(one, column)].map((each) => ({ ...each, inherited: data.inherited })),
    ...value,
    ...propertyFacts(one, data),
    ...grantFacts(data.grants, { id, target: `TABLE ${own(parent!)}`, label, columns: ` (${ident(name)})` }),
  ];
}

type One = (what: string, given: Partial<Fact> & { ddl: string }) => Fact;

function shapeFacts(one: One, { name, data: raw }: CatalogObject): Fact[] {
  const data = raw as ColumnData;
  const type = typeOf(data);
  const retype = (through: string): Fact => {
    const using = data.generated ? "" : ` USING ${ident(name)}::${through}${data.type}`;
    return one("type", { ddl: `TYPE ${type}${using}`, content: type });
  };
  // There is no cast between two enums, nor between most types of one's own.
  const isOwn = (written: string): boolean => written.includes(`${OWN}.`);
  const facts: Fact[] = [
    {
      ...retype(""),
      change: (here: Fact) => [retype(isOwn(type) || isOwn(here.content) ? "text::" : "").ddl],
    },
  ];
  if (data.generated) {
    // Dropping a column that is not generated would lose its values.
    facts.push({
      ...one("expression", { ddl: "", content: expression(data), undo: "DROP EXPRESSION" }),
      ddl: `-- ${name} is to be ${expression(data)}: drop and add the column`,
      change: "recreate within",
    });
  }
  return facts;
}

/** Where the values come from that a statement does not specify. */
function valueFacts(
  one: One,
  data: ColumnData,
  sequence: SequenceData | undefined,
  name: string,
  parent: string,
): Fact[] {
  if (data.default !== null)
    return [one("default", { ddl: `SET DEFAULT ${data.default}`, undo: "DROP DEFAULT", change: "recreate" })];
  if (!data.identity || data.inherited) return [];
  const kind = GENERATED[data.identity];
  const made = one("identity", {
    ddl: `ADD ${identity(data.identity, sequence)}`,
    undo: "DROP IDENTITY",
    content: kind,
  });
  const table = own(parent);
  // Existing rows already have ids.
  const next = `SELECT setval(pg_get_serial_sequence('${table.replaceAll("'", "''")}', '${name.replaceAll("'", "''")}'), max(${ident(name)})) FROM ${table} HAVING max(${ident(name)}) > 0`;
  const change = one("identity", { ddl: `SET GENERATED ${kind}` }).ddl;
  return [{ ...made, rank: RANK.attribute + 1, then: [next], change: () => [change] }];
}

function propertyFacts(one: One, data: ColumnData): Fact[] {
  const facts: Fact[] = [];
  if (data.notNull) facts.push(one("not null", { ddl: "SET NOT NULL", undo: "DROP NOT NULL" }));
  const storage = STORAGE[data.storage];
  if (storage)
    facts.push(
      one("storage", { ddl: `SET STORAGE ${storage}`, included: data.storage === data.usualStorage }),
    );
  const compression = COMPRESSION[data.compression];
  if (compression)
    facts.push(
      one("compression", {
        ddl: `SET COMPRESSION ${compression}`,
        undo: "SET COMPRESSION default",
        included: false,
      }),
    );
  if (data.statistics !== null)
    facts.push(
      one("statistics", {
        ddl: `SET STATISTICS ${data.statistics}`,
        undo: "SET STATISTICS -1",
        included: false,
      }),
    );
  for (const option of data.options ?? []) {
    const [key = ""] = option.split("=");
    facts.push(one(`option ${key}`, { ddl: `SET (${option})`, undo: `RESET (${key})`, included: false }));
  }
  return facts;
}
