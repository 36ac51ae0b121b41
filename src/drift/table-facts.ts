import { ident } from "../postgres/quote.ts";
import { type ColumnData, columnDefinition } from "./column-facts.ts";
import {
  type CatalogObject,
  type Fact,
  fact,
  type Grant,
  grantFacts,
  own,
  ownerFact,
  RANK,
  RELATION_WORDS,
} from "./facts.ts";
import type { SequenceData } from "./sequence-facts.ts";

interface RelationData {
  readonly kind: "r" | "p" | "v" | "m" | "f";
  readonly persistence: string;
  readonly owner: string;
  readonly grants: readonly Grant[] | null;
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly identity: string;
  readonly identityIndex: string | null;
  readonly method: string | null;
  readonly partitionKey: string | null;
  readonly bound: string | null;
  readonly parents: readonly string[];
  readonly type: string | null;
  readonly order: readonly string[];
  readonly definition: string | null;
}

/** The facts of a table or view itself, without its columns and what is built on it. */
export function relationFacts(
  { name, made, data: raw }: CatalogObject,
  columns: readonly CatalogObject[],
  identities: ReadonlyMap<string, SequenceData>,
): Fact[] {
  const data = raw as RelationData;
  const word = RELATION_WORDS[data.kind];
  const label = `${word.toLowerCase()} ${name}`;
  const id = `relation ${name}`;
  const target = `${word} ${own(name)}`;
  const facts = [
    data.definition === null
      ? tableFact({ id, label, name, made }, data, columns, identities)
      : viewFact({ id, label, name, made }, data),
    ownerFact(data.owner, id, target, label),
    ...grantFacts(data.grants, { id, target: `TABLE ${own(name)}`, label }),
    ...[...data.options, ...data.toastOptions].map((option) => optionFact(option, id, target, label)),
  ];
  if (data.definition !== null) return facts;
  return [...facts, ...placeFacts(data, id, target, label), ...securityFacts(data, id, target, label)];
}

type Head = Pick<Fact, "id" | "label" | "made"> & { name: string };

function tableFact(
  { name, ...head }: Head,
  data: RelationData,
  columns: readonly CatalogObject[],
  identities: ReadonlyMap<string, SequenceData>,
): Fact {
  const { kind, persistence, bound, parents, type, partitionKey, method } = data;
  const create = `CREATE ${persistence === "u" ? "UNLOGGED " : ""}TABLE ${own(name)}`;
  // Parents whose defaults differ can have a common child only with a default of its own.
  const local = columns.filter(({ data: column }) => {
    const { inherited, default: value } = column as ColumnData;
    return !inherited || (parents.length > 1 && value !== null);
  });
  const list = local.map((column) => `\n  ${columnDefinition(column, identities)}`).join(",");
  const body =
    bound !== null
      ? ` PARTITION OF ${parents[0]} ${bound}`
      : type !== null
        ? ` OF ${type}`
        : ` (${list}${list ? "\n" : ""})${parents.length > 0 ? ` INHERITS (${parents.join(", ")})` : ""}`;
  const rest =
    (partitionKey ? ` PARTITION BY ${partitionKey}` : "") +
    (method && method !== "heap" ? ` USING ${ident(method)}` : "");
  return fact({
    ...head,
    rank: RANK.table,
    content: [kind, partitionKey, type, method].join(" "),
    ddl: kind === "f" ? `-- ${head.label} has to be created by hand` : create + body + rest,
    undo: `DROP ${RELATION_WORDS[kind]} ${own(name)}`,
    change: "never",
    losesData: true,
  });
}

function viewFact({ name, ...head }: Head, { kind, definition }: RelationData): Fact {
  const word = RELATION_WORDS[kind];
  const create = `CREATE ${word} ${own(name)} AS\n${definition!.trim().replace(/;$/, "")}`;
  return fact({
    ...head,
    rank: RANK.view,
    content: create,
    ddl: kind === "m" ? `${create}\nWITH NO DATA` : create,
    then: kind === "m" ? [refresh(name)] : [],
    undo: `DROP ${word} ${own(name)}`,
    change: "recreate",
  });
}

/** Fills a materialized view, unless it reads another one that has never been filled. */
const refresh = (name: string): string =>
  `DO $refresh$ BEGIN REFRESH MATERIALIZED VIEW ${own(name)};
EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE '%', SQLERRM; END $refresh$`;

function optionFact(option: string, id: string, target: string, label: string): Fact {
  const [key, value] = [option.slice(0, option.indexOf("=")), option.slice(option.indexOf("=") + 1)];
  return fact({
    id: `option ${key} ${id}`,
    label: `option ${key} of ${label}`,
    within: id,
    rank: RANK.property,
    ddl: `ALTER ${target} SET (${key} = ${/^[\w.-]+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`})`,
    undo: `ALTER ${target} RESET (${key})`,
  });
}

/** Where a table's rows are, and of which tables it is a part. */
function placeFacts(data: RelationData, id: string, target: string, label: string): Fact[] {
  const { persistence, bound, parents, order } = data;
  const logged = persistence === "u" ? "UNLOGGED" : "LOGGED";
  const facts = [
    fact({
      id: `persistence ${id}`,
      label: `persistence of ${label}`,
      within: id,
      included: true,
      rank: RANK.property,
      ddl: `ALTER ${target} SET ${logged}`,
    }),
    fact({
      id: `order ${id}`,
      label: `order of the columns of ${label}`,
      within: id,
      included: true,
      rank: RANK.property,
      ddl: `-- ${label} has its columns in the order ${order.join(", ")}`,
      list: order,
      change: "never",
    }),
  ];
  const member = target.slice("TABLE ".length);
  for (const parent of parents) {
    facts.push(
      fact({
        id: `parent ${parent} ${id}`,
        label: `parent of ${label}`,
        within: id,
        included: true,
        rank: RANK.property,
        ddl: bound
          ? `ALTER TABLE ${parent} ATTACH PARTITION ${member} ${bound}`
          : `ALTER ${target} INHERIT ${parent}`,
        undo: bound
          ? `ALTER TABLE ${parent} DETACH PARTITION ${member}`
          : `ALTER ${target} NO INHERIT ${parent}`,
        change: "recreate",
      }),
    );
  }
  return facts;
}

/** Row security and replica identity. */
function securityFacts(data: RelationData, id: string, target: string, label: string): Fact[] {
  const flag = (what: string, on: string, off: string): Fact =>
    fact({
      id: `${what} ${id}`,
      label: `${what} of ${label}`,
      within: id,
      rank: RANK.property,
      ddl: `ALTER ${target} ${on}`,
      undo: `ALTER ${target} ${off}`,
    });
  const identities: Record<string, string> = {
    f: "FULL",
    n: "NOTHING",
    // After the index has been dropped, none is logged.
    i: data.identityIndex === null ? "NOTHING" : `USING INDEX ${ident(data.identityIndex)}`,
  };
  const identity = identities[data.identity];
  return [
    ...(data.rowSecurity
      ? [flag("row security", "ENABLE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY")]
      : []),
    ...(data.forceRowSecurity
      ? [flag("forced row security", "FORCE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY")]
      : []),
    ...(identity
      ? [flag("replica identity", `REPLICA IDENTITY ${identity}`, "REPLICA IDENTITY DEFAULT")]
      : []),
  ];
}
