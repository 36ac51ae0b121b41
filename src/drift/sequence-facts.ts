import { ident } from "../postgres/quote.ts";
import { ownToken } from "../sequences/own-text.ts";
import { RANGE_SIZES, type SequenceMode } from "../sequences/own-values.ts";
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

export interface SequenceData {
  readonly type: string;
  readonly cache: string;
  readonly cycle: boolean;
  /** Increment, minimum, maximum and start; or, if its values belong to the shard, the mode with its sign. */
  readonly numbers: readonly string[];
  readonly owner: string;
  readonly grants: readonly Grant[] | null;
  readonly table: string | null;
  readonly column: string | null;
  readonly identity: boolean | null;
}

/** The mode by which a sequence has values of its own; null if it has none. */
const modeOf = ({ numbers: [mode] }: SequenceData): SequenceMode | null =>
  mode === "interleave" || mode === "range" ? mode : null;

/** The options of CREATE SEQUENCE; if its values belong to the shard, with tokens for its numbers. */
function numberOptions(data: SequenceData): string[] {
  const mode = modeOf(data);
  const [first = "", second = "", third = "", fourth = ""] = data.numbers;
  if (!mode)
    return [`INCREMENT BY ${first}`, `MINVALUE ${second}`, `MAXVALUE ${third}`, `START WITH ${fourth}`];
  const down = second === "-1";
  // Interleaved sequences share the limit at the far end.
  const width =
    mode === "interleave"
      ? 8
      : Number(Object.entries(RANGE_SIZES).find(([, size]) => String(size) === third)?.[0]);
  const token = (part: "min" | "max" | "start"): string => ownToken(part, mode, width, down);
  const [min, max] =
    mode === "range" ? [token("min"), token("max")] : down ? [third, token("max")] : [token("min"), third];
  const step = mode === "range" ? 1 : 10_000;
  return [
    `INCREMENT BY ${down ? -step : step}`,
    `MINVALUE ${min}`,
    `MAXVALUE ${max}`,
    `START WITH ${token("start")}`,
  ];
}

/** The options of an identity column. */
export const identityOptions = (data: SequenceData): string[] => [
  ...numberOptions(data),
  `CACHE ${data.cache}`,
  ...(data.cycle ? ["CYCLE"] : []),
];

/** If values become the shard's own, or were, a mere statement could hand out ids that are already used. */
const assign = (data: SequenceData, here: Fact, ddl: string): string[] => {
  const mode = modeOf(data);
  return mode ? [`-- run: shardferry sequences assign --mode=${mode}, for ${here.label}`] : [ddl];
};

/** The facts of a sequence; the name of an identity column's sequence does not matter. */
export function sequenceFacts({ name, made, data: raw }: CatalogObject): Fact[] {
  const data = raw as SequenceData;
  return data.identity ? identitySequenceFacts(data) : ownSequenceFacts(name, made, data);
}

function identitySequenceFacts(data: SequenceData): Fact[] {
  const [table, column] = [data.table!, data.column!];
  const within = `identity column ${table}.${column}`;
  const options = [...numberOptions(data), `CACHE ${data.cache}`, data.cycle ? "CYCLE" : "NO CYCLE"];
  const ddl = `ALTER TABLE ${own(table)} ALTER COLUMN ${ident(column)} ${options.map((option) => `SET ${option}`).join(" ")}`;
  return [
    fact({
      id: `numbers ${within}`,
      label: `identity values of column ${column} of ${table}`,
      within,
      included: true,
      rank: RANK.property,
      ddl,
      change: (here) => assign(data, here, ddl),
    }),
  ];
}

function ownSequenceFacts(name: string, made: number, data: SequenceData): Fact[] {
  const id = `sequence ${name}`;
  const label = `sequence ${name}`;
  const target = `SEQUENCE ${own(name)}`;
  const options = [`AS ${data.type}`, ...numberOptions(data), `CACHE ${data.cache}`];
  const alter = `ALTER ${target} ${[...options, data.cycle ? "CYCLE" : "NO CYCLE"].join(" ")}`;
  const facts = [
    fact({
      id,
      label,
      made,
      rank: RANK.sequence,
      content: "",
      losesData: true,
      ddl: `CREATE ${target} ${[...options, ...(data.cycle ? ["CYCLE"] : [])].join(" ")}`,
      // A sequence that a column owns is dropped with the column.
      undo: `DROP SEQUENCE IF EXISTS ${own(name)}`,
    }),
    fact({
      id: `numbers ${id}`,
      label: `values of ${label}`,
      within: id,
      included: true,
      rank: RANK.property,
      ddl: alter,
      change: (here) => assign(data, here, alter),
    }),
    ...grantFacts(data.grants, { id, target, label }),
  ];
  if (data.table === null) return [...facts, ownerFact(data.owner, id, target, label)];
  const ownedBy = fact({
    id: `owned by ${id}`,
    label: `table of ${label}`,
    within: id,
    rank: RANK.ownedBy,
    ddl: `ALTER ${target} OWNED BY ${own(data.table)}.${ident(data.column!)}`,
    undo: `ALTER ${target} OWNED BY NONE`,
  });
  // It has the owner of its table.
  return [...facts, ownedBy];
}
