import { ident } from "../postgres/quote.ts";
import { OWN } from "./neutral.ts";

/** An object of a schema as the catalogs describe it, in neutral form: without the name of its own schema. */
export interface CatalogObject {
  readonly kind: string;
  /** The relation or domain to which it belongs. */
  readonly parent: string | null;
  readonly name: string;
  /** Grows with the time of creation. */
  readonly made: number;
  readonly data: unknown;
}

/** One thing that is true of a shard, with the DDL that makes it true. Two shards are compared fact by fact. */
export interface Fact {
  /** The same in two shards for facts to be compared with each other. */
  readonly id: string;
  /** In words: `column age of users`. */
  readonly label: string;
  /** The fact without which this one cannot exist. */
  readonly within: string | null;
  /** Ids of what its DDL needs besides; known only to what writes repairs. */
  readonly needs: readonly string[];
  /** True if the DDL of `within` also creates this one. */
  readonly included: boolean;
  /** True if it exists because the parent of its table, or its type, has it: then that one's own fact is compared. */
  readonly inherited?: boolean;
  /** What is compared; the DDL by default. */
  readonly content: string;
  /** DDL that creates it where it is missing. A comment if no DDL can. */
  readonly ddl: string;
  /** To be run after `ddl` if there are already rows. */
  readonly then?: readonly string[];
  /** DDL that removes it; null if nothing is needed. */
  readonly undo: string | null;
  /**
   * How it is changed from another form: by `ddl` itself, by `undo` and then `ddl`, by those of `within`, by other
   * statements, or only by a new table.
   */
  readonly change:
    | "ddl"
    | "recreate"
    | "recreate within"
    | "never"
    | ((here: Fact) => readonly string[] | "recreate" | null);
  /** True for a foreign key that is NOT VALID, as moves leave it: this is reported, but is no difference. */
  readonly isUnvalidatedKey?: boolean;
  /** True if `undo` loses rows. */
  readonly losesData: boolean;
  /** Place in the order in which things are created; they are undone in reverse order. */
  readonly rank: number;
  readonly made: number;
  /** Names of columns in order, labels of an enum or attributes of a type, which are compared or changed one by one. */
  readonly list?: readonly string[];
}

/** The order in which objects are created. */
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

/** What relations are called in DDL. */
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
  needs: [],
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

/** The object of grants and owners. */
export interface Granted {
  /** Id of the object's fact. */
  readonly id: string;
  /** As written in GRANT … ON: `TABLE "x"`. */
  readonly target: string;
  /** As written in `of "x"`, for the label. */
  readonly label: string;
  /** Follows each privilege: the column. */
  readonly columns?: string;
}

const role = (name: string | null): string => (name === null ? "PUBLIC" : ident(name));

/** One fact for each role that has more or fewer privileges than without any GRANT. */
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

/** The fact of who owns an object. */
export const ownerFact = (owner: string, id: string, target: string, label: string): Fact =>
  fact({
    id: `owner ${id}`,
    label: `owner of ${label}`,
    within: id,
    rank: RANK.owner,
    ddl: `ALTER ${target} OWNER TO ${ident(owner)}`,
  });
