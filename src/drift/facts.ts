import { ident } from "../postgres/quote.ts";
import { OWN } from "./neutral.ts";

/** An object of a schema as the catalogs have it, neutral: without the name of its own schema. */
export interface CatalogObject {
  readonly kind: string;
  /** The relation or domain that it belongs to. */
  readonly parent: string | null;
  readonly name: string;
  /** Grows with the time at which it was made. */
  readonly made: number;
  readonly data: unknown;
}

/** One thing that is so in a shard, with the DDL that makes it so. Two shards are compared fact by fact. */
export interface Fact {
  /** The same in two shards for what is to be compared. */
  readonly id: string;
  /** In words: `column age of users`. */
  readonly label: string;
  /** The fact without which this one cannot be. */
  readonly within: string | null;
  /** True when the DDL of `within` brings it about, too. */
  readonly included: boolean;
  /** True when it is there because the parent of its table has it: the parent's own fact tells. */
  readonly inherited?: boolean;
  /** What is compared; the DDL by default. */
  readonly content: string;
  /** Makes it so where it is not. A comment where no DDL does. */
  readonly ddl: string;
  /** To be run after `ddl` where there are rows already. */
  readonly then?: readonly string[];
  /** Makes it not so; null where that needs nothing. */
  readonly undo: string | null;
  /**
   * What makes it so where it is otherwise: `ddl` itself, `undo` and `ddl` one after the other, other statements, or
   * nothing short of a new table.
   */
  readonly change: "ddl" | "recreate" | "never" | ((here: Fact) => readonly string[] | null);
  /** True when `undo` loses rows. */
  readonly losesData: boolean;
  /** Place in the order in which things are made; the reverse when they are undone. */
  readonly rank: number;
  readonly made: number;
  /** Names of columns in order, or labels of an enum: what is compared or changed one by one. */
  readonly list?: readonly string[];
}

/** The order in which objects are made. */
export const RANK = {
  schema: 0,
  type: 10,
  sequence: 20,
  function: 30,
  table: 40,
  column: 50,
  attribute: 52,
  ownedBy: 56,
  key: 60,
  index: 65,
  foreignKey: 70,
  statistics: 72,
  view: 75,
  trigger: 80,
  property: 90,
  owner: 95,
  grant: 97,
} as const;

/** How relations are called in DDL. */
export const RELATION_WORDS = {
  r: "TABLE",
  p: "TABLE",
  v: "VIEW",
  m: "MATERIALIZED VIEW",
  f: "FOREIGN TABLE",
} as const;

type Given = Pick<Fact, "id" | "label" | "ddl" | "rank"> & Partial<Fact>;

/** Completes a fact. */
export const fact = (given: Given): Fact => ({
  within: null,
  included: false,
  content: given.ddl,
  undo: null,
  change: "ddl",
  losesData: false,
  made: 0,
  ...given,
});

/** `schema."name"`, in the neutral schema. */
export const own = (name: string): string => `${OWN}.${ident(name)}`;

/** Sign, role (null: PUBLIC), privilege, with grant option. */
export type Grant = readonly ["+" | "-", string | null, string, boolean];

/** What grants and owners are about. */
export interface Granted {
  /** Id of the fact that it is. */
  readonly id: string;
  /** As in GRANT … ON: `TABLE "x"`. */
  readonly target: string;
  /** As in `of "x"`, for the label. */
  readonly label: string;
  /** Goes behind each privilege: the column. */
  readonly columns?: string;
}

const role = (name: string | null): string => (name === null ? "PUBLIC" : ident(name));

/** One fact for each role that has more or less than without any GRANT. */
export function grantFacts(
  grants: readonly Grant[] | null,
  { id, target, label, columns = "" }: Granted,
): Fact[] {
  const kinds = new Map<string, Grant[]>();
  for (const grant of grants ?? []) {
    const key = `${grant[0]} ${role(grant[1])} ${grant[3]}`;
    kinds.set(key, [...(kinds.get(key) ?? []), grant]);
  }
  return [...kinds].map(([key, list]) => {
    const [sign, name, , grantable] = list[0]!;
    const privileges = list.map(([, , privilege]) => privilege + columns).join(", ");
    const give = `GRANT ${privileges} ON ${target} TO ${role(name)}${grantable ? " WITH GRANT OPTION" : ""}`;
    const take = `REVOKE ${privileges} ON ${target} FROM ${role(name)}`;
    return fact({
      id: `grant ${key} ${id}`,
      label: `privileges of ${name ?? "PUBLIC"} on ${label}`,
      within: id,
      rank: RANK.grant,
      ddl: sign === "+" ? give : take,
      undo: sign === "+" ? take : give,
      change: "recreate",
    });
  });
}

/** Who owns an object. */
export const ownerFact = (owner: string, id: string, target: string, label: string): Fact =>
  fact({
    id: `owner ${id}`,
    label: `owner of ${label}`,
    within: id,
    rank: RANK.owner,
    ddl: `ALTER ${target} OWNER TO ${ident(owner)}`,
  });
