import type { Comparison } from "./compare.ts";
import { type Fact, RANK } from "./facts.ts";
import type { Graph } from "./graph.ts";
import { isComment } from "./statements.ts";

/** What PostgreSQL itself adapts when a column that it reads changes its type. */
const ADAPTED: ReadonlySet<number> = new Set([
  ...[RANK.ownedBy, RANK.key, RANK.index, RANK.foreignKey, RANK.statistics],
]);

/** True for what reads a column and prevents its type from being changed. */
export const preventsNewType = ({ rank }: Fact): boolean => !ADAPTED.has(rank);

/** True for the fact of which type a column is. */
export const isColumnType = ({ id }: Fact): boolean => id.startsWith("type column ");

/** The statements that change a fact in place; null if there are none. */
export function changeOf(wanted: Fact, found: Fact): readonly string[] | "recreate" | null {
  const { change, ddl } = wanted;
  if (typeof change === "function") return change(found);
  return change === "never" ? null : change === "ddl" ? [ddl] : "recreate";
}

/**
 * The ids of what is dropped and created again: what cannot be changed in place, and what both shards have and what
 * depends on something that is dropped or on a column whose type changes.
 * @param kept ids of what cannot be dropped or changed after all, for which nothing has to make way
 */
export function recreatedIds(
  { different, more }: Comparison,
  reference: Graph,
  here: Graph,
  kept: ReadonlySet<string>,
): Set<string> {
  const again = new Set<string>();
  const inTheWay = more.flatMap((fact) => (kept.has(fact.id) ? [] : here.users(fact)));
  const add = (id: string): void => {
    again.add(id);
    if (!kept.has(id)) inTheWay.push(...here.users(here.facts.get(id)!));
  };
  for (const { wanted, here: found } of different) {
    if (changeOf(wanted, found) === "recreate") add(remade(wanted));
    else if (isColumnType(wanted) && !kept.has(wanted.id))
      inTheWay.push(...here.users(here.facts.get(wanted.within!)!).filter(preventsNewType));
  }
  // What is recreated may be in use, too: then the loop also reaches its users.
  for (const user of inTheWay) {
    const wanted = reference.facts.get(user.id) && reference.facts.get(remade(user));
    const found = here.facts.get(remade(user))!;
    const isCovered = [found.id, ...here.owners(found)].some((id) => again.has(id));
    if (wanted && !isCovered && canBeRecreated(wanted, found)) add(found.id);
  }
  return again;
}

/** The id of what is recreated for a fact. */
const remade = ({ id, change, within }: Fact): string => (change === "recreate within" ? within! : id);

const canBeRecreated = (wanted: Fact, found: Fact): boolean =>
  found.undo !== null && !found.losesData && !isComment(wanted.ddl);
