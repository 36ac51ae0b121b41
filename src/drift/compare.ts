import type { Fact } from "./facts.ts";
import { readable } from "./neutral.ts";

export type Facts = ReadonlyMap<string, Fact>;

/** Something in which a group of shards differs from the reference. */
export interface Difference {
  /** The group lacks it, has it in addition, or has it in another form. */
  readonly change: "less" | "more" | "different";
  /** In words: `index users_name of users`. */
  readonly object: string;
  /** DDL for what the reference has; null if the reference lacks it. */
  readonly reference: string | null;
  /** DDL for what the group has; null if the group lacks it. */
  readonly here: string | null;
}

/** A fact that exists on both sides but is not the same. */
interface Change {
  readonly wanted: Fact;
  readonly here: Fact;
}

/** What is missing, additional and different, each without what follows from another entry. */
export interface Comparison {
  readonly less: readonly Fact[];
  readonly more: readonly Fact[];
  readonly different: readonly Change[];
}

/** Compares two shards fact by fact. */
export function compare(reference: Facts, here: Facts): Comparison {
  const gone = (within: string | null, one: Facts, other: Facts): boolean =>
    within !== null && one.has(within) && !other.has(within);
  const less = [...reference.values()].filter(
    ({ id, within, included, inherited }) =>
      !here.has(id) && !inherited && !(included && gone(within, reference, here)),
  );
  const more = [...here.values()].filter(
    ({ id, within, inherited }) => !reference.has(id) && !inherited && !gone(within, here, reference),
  );
  const different = [...reference.values()].flatMap((wanted) => {
    const found = here.get(wanted.id);
    if (!found || isSame(wanted, found) || (wanted.inherited && found.inherited)) return [];
    return [{ wanted, here: found }];
  });
  return { less, more, different };
}

function isSame(wanted: Fact, here: Fact): boolean {
  if (!wanted.id.startsWith("order ")) return wanted.content === here.content;
  // A column that one of them lacks is a separate difference.
  const common = (one: Fact, other: Fact): string =>
    (one.list ?? []).filter((name) => other.list?.includes(name)).join("\n");
  return common(wanted, here) === common(here, wanted);
}

/** The comparison in readable form, in the order in which objects are created. */
export function differences({ less, more, different }: Comparison): Difference[] {
  const entries = [
    ...less.map((fact) => ({ fact, change: "less" as const, reference: fact.ddl, here: null })),
    ...more.map((fact) => ({ fact, change: "more" as const, reference: null, here: fact.ddl })),
    ...different.map(({ wanted, here }) => ({
      fact: wanted,
      change: "different" as const,
      reference: wanted.ddl,
      here: here.ddl,
    })),
  ];
  return entries
    .sort((a, b) => byMaking(a.fact, b.fact))
    .map(({ fact, change, reference, here }) => ({
      change,
      object: readable(fact.label),
      reference: reference && readable(reference),
      here: here && readable(here),
    }));
}

/** Sorts facts in the order in which they are created. */
export const byMaking = (a: Fact, b: Fact): number =>
  a.rank - b.rank || a.made - b.made || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
