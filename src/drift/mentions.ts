import type { Facts } from "./compare.ts";
import { type Fact, RANK } from "./facts.ts";
import { OWN } from "./neutral.ts";

/** Names of the shard's own objects in a text: `own.name`, `own."Name"`. */
const NAMES = new RegExp(`(?<![\\w$])${OWN}\\.(?:"((?:[^"]|"")+)"|([\\p{L}\\p{N}_$]+))`, "gu");

/** The names of the shard's own objects that a text mentions. In DDL, all names are qualified. */
export function namesIn(text: string): Set<string> {
  const found = [...text.matchAll(NAMES)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!);
  return new Set(found);
}

/** True for a function whose body PostgreSQL has parsed, so that the body depends on what it mentions. */
export const isAtomic = ({ id, ddl }: Fact): boolean => id.startsWith("function ") && !BODY.test(ddl);

const BODY = /\nAS ['$]/;

/** The part of a fact's DDL that has to be valid for it to run: of most functions, all but the body. */
export const surface = ({ id, ddl }: Fact): string =>
  id.startsWith("function ") ? ddl.slice(0, BODY.exec(ddl)?.index ?? ddl.length) : ddl;

const OBJECT = /^(?:relation|type|sequence|index|statistics|function|other) /;

/** The name under which other objects mention this one; null for what is not an object by itself. */
export function nameOf({ id }: Fact): string | null {
  const kind = OBJECT.exec(id)?.[0];
  if (kind === undefined || id.startsWith("type column ")) return null;
  const name = id.slice(kind.length);
  if (kind === "other ") return [...namesIn(name)][0] ?? null;
  if (kind !== "function ") return name;
  // As quote_ident() wrote it.
  const quoted = /^"((?:[^"]|"")+)"\(/.exec(name)?.[1];
  return quoted?.replaceAll('""', '"') ?? name.slice(0, name.indexOf("("));
}

/** The relation, or other object, to which a fact belongs directly or indirectly; its own id if it is one. */
export function rootOf(fact: Fact, facts: Facts): string {
  const parent = fact.within === null ? undefined : facts.get(fact.within);
  return parent ? rootOf(parent, facts) : (fact.within ?? fact.id);
}

/** Whether a fact is built on columns, keys and indexes of what it mentions, and not only on its existence. */
export const readsWithin = (fact: Fact): boolean => fact.rank >= RANK.foreignKey || isAtomic(fact);
