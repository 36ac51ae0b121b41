import { plural } from "../format.ts";

/** How many names are shown; the rest are counted. */
const SHOWN = 10;

/** Things of a kind in a few words: `columns a, b and c`, `400 tables, among them a, b, …`. */
export function some(names: readonly string[], one: string): string {
  if (names.length <= SHOWN) return `${names.length === 1 ? one : `${one}s`} ${names.join(", ")}`;
  return `${plural(names.length, one)}, among them ${names.slice(0, SHOWN).join(", ")}`;
}

/** How many problems are told at once, so that they can be read, and fit into a history. */
const TOLD = 50;

/** The first problems, and how many there are further. */
export const told = (problems: readonly string[]): string[] =>
  problems.length <= TOLD
    ? [...problems]
    : [...problems.slice(0, TOLD), `and ${problems.length - TOLD} further problems`];
