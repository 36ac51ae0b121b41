import { count, plural } from "../format.ts";
import { groupBy } from "../group-by.ts";
import type { Finding } from "./finding.ts";

/** How many names are shown; the rest are counted. */
const SHOWN = 10;

/** Things of a kind in a few words: `columns a, b and c`, `400 tables, among them a, b, …`. */
export function some(names: readonly string[], one: string): string {
  if (names.length <= SHOWN) return `${names.length === 1 ? one : `${one}s`} ${names.join(", ")}`;
  return `${plural(names.length, one)}, among them ${names.slice(0, SHOWN).join(", ")}`;
}

/** The first of some names, and how many there are further. */
export const firsts = (names: readonly string[]): string =>
  names.length <= SHOWN
    ? names.join(", ")
    : `${names.slice(0, SHOWN).join(", ")} and ${count(names.length - SHOWN)} more`;

/** How many problems of one kind are told; the others are counted, so that all can be read, and fit into a history. */
const TOLD = 10;

/** The first problems of each kind, and how many there are further. */
export const told = (problems: readonly Finding[]): string[] =>
  [...groupBy(problems, ({ code }) => code)].flatMap(([code, some]) => [
    ...some.slice(0, TOLD).map(({ text }) => text),
    ...(some.length > TOLD
      ? [
          `and ${count(some.length - TOLD)} more of this kind (${code}); shardferry doctor --json has all of them`,
        ]
      : []),
  ]);
