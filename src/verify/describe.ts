import type { RowDifference } from "../../contract/verify.ts";
import { count, plural } from "../format.ts";

/** Differences that are listed one by one; the rest are counted. */
const TOLD = 10;

/** One difference, in one line: `"users", id = 7: name is 'Ann' on the source and 'ann' on the destination`. */
function describeDifference({ table, key, missing, columns }: RowDifference): string {
  const where = `"${table}", ${key}`;
  // Of a table without a key, the key says how often the row is there.
  if (columns.length === 0 && missing !== "none" && key.startsWith("the row ")) return where;
  if (missing === "destination") return `${where}: missing on the destination`;
  if (missing === "source") return `${where}: on the destination only`;
  const shown = (value: string | null): string => (value === null ? "NULL" : `'${value}'`);
  const differing = columns.map(
    ({ name, source, destination }) =>
      `${name} is ${shown(source)} on the source and ${shown(destination)} on the destination`,
  );
  return `${where}: ${differing.join("; ") || "the rows differ"}`;
}

/** Describes all differences, as far as they are listed. */
export function describeDifferences(differences: readonly RowDifference[], more: boolean): string {
  const told = differences.slice(0, TOLD).map(describeDifference);
  const number = `${more ? "at least " : ""}${plural(differences.length, "row differs", "rows differ")}`;
  const rest = differences.length - told.length;
  return [
    `${number}:`,
    ...told.map((line) => `  ${line}`),
    ...(rest > 0 ? [`  and ${count(rest)} more`] : []),
  ].join("\n");
}
