import { flagOf, type Option } from "./option.ts";
import { COPY, ISLANDS, MIGRATION, MOVE, REBALANCE } from "./options.ts";

/** What a request has that is the value of no single option. */
const OTHERS: Readonly<Record<string, string>> = {
  islands: flagOf(ISLANDS.dsns),
  sql: "the SQL",
  hash: "the SQL (its digest)",
  source: "the name of the SQL's file",
};

const OPTIONS: Readonly<Record<string, Option>> = { ...MIGRATION, ...COPY, ...REBALANCE, ...MOVE };

/** The flag of a value of a request, as an operator knows it: `--max-write-block-ms`. */
export function flagFor(key: string): string {
  const known = OTHERS[key] ?? (OPTIONS[key] && flagOf(OPTIONS[key]));
  return known ?? key;
}
