import { type OwnText, ownText } from "../sequences/own-text.ts";

/** Stands for the name of a shard's own schema: an identifier that needs no quotes and that nobody uses. */
export const OWN = "shardferry_own_schema";
/** The same for other spellings of the name: without the quotes that it needs as an identifier, and in literals. */
const WRITTEN: Readonly<Record<string, (name: string) => string>> = {
  [`${OWN}_in_literal`]: (name) => inLiteral(quoted(name)),
  [`${OWN}_bare_in_literal`]: (name) => inLiteral(name),
  [`${OWN}_bare`]: (name) => name,
  [OWN]: (name) => quoted(name),
};

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Like PostgreSQL's own quote_ident(), except for reserved words, which are never names of shards. */
const needsQuotes = (name: string): boolean => !/^[a-z_][a-z0-9_$]*$/.test(name);
const quoted = (name: string): string => (needsQuotes(name) ? `"${name.replaceAll('"', '""')}"` : name);
const inLiteral = (text: string): string => text.replaceAll("'", "''");

/** Returns a function that replaces the name of the schema by `OWN` wherever it is a word in a text. */
export function neutralizer(schema: string): (text: string) => string {
  const tokens = new Map<string, string>();
  // Of spellings that are the same for this name, the last one is the simplest.
  for (const [token, write] of Object.entries(WRITTEN)) tokens.set(write(schema), token);
  const names = [...tokens.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(`(?<![\\w$])(?:${names.map(escaped).join("|")})(?![\\w$])`, "gu");
  return (text) =>
    names.some((name) => text.includes(name)) ? text.replace(pattern, (found) => tokens.get(found)!) : text;
}

/** Puts the name of a shard, and the values that its sequences do not share with other shards, into a neutral text. */
export function inShard(text: string, { schema, no }: { schema: string; no: number }): string {
  let named = text;
  for (const [token, write] of Object.entries(WRITTEN)) named = named.replaceAll(token, () => write(schema));
  return ownText(named, (own: OwnText) => own.of(no));
}

/** Makes a neutral text readable: objects of the shard are not qualified. */
export function readable(text: string): string {
  let shown = text.replaceAll(new RegExp(`${OWN}(_in_literal)?\\.`, "g"), "");
  for (const token of Object.keys(WRITTEN)) shown = shown.replaceAll(token, "<shard>");
  return ownText(shown, (own: OwnText) => own.words);
}
