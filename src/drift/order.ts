import { byMaking, type Facts } from "./compare.ts";
import { type Fact, RANK } from "./facts.ts";
import { nameOf, namesIn, readsWithin, rootOf, surface } from "./mentions.ts";

/** A step of a repair: it removes a fact, or makes it true. */
export interface Step {
  readonly act: "drop" | "make";
  /** For what is dropped, as it is in the shard; otherwise as it is wanted. */
  readonly fact: Fact;
  /** What the step replaces. */
  readonly found?: Fact | undefined;
  readonly statements: readonly string[];
}

/**
 * Sorts the steps of a repair so that each of them can run: what is removed before what is made, dependents before what
 * they depend on when they are removed, and after it when they are made. Names in DDL tell what depends on what.
 */
export function inOrder(steps: readonly Step[], reference: Facts, here: Facts): Step[] {
  const waitsFor = dependencies(steps, reference, here);
  const left = [...steps].sort(byDefault);
  const sorted: Step[] = [];
  const done = new Set<Step>();
  while (left.length > 0) {
    const ready = left.findIndex((step) => [...waitsFor.get(step)!].every((one) => done.has(one)));
    // In a circle, the usual order has to do.
    const [next] = left.splice(Math.max(ready, 0), 1);
    sorted.push(next!);
    done.add(next!);
  }
  return sorted;
}

function byDefault(a: Step, b: Step): number {
  if (a.act !== b.act) return a.act === "drop" ? -1 : 1;
  return a.act === "drop" ? byMaking(b.fact, a.fact) : byMaking(a.fact, b.fact);
}

function dependencies(steps: readonly Step[], reference: Facts, here: Facts): Map<Step, Set<Step>> {
  const waitsFor = new Map(steps.map((step) => [step, new Set<Step>()]));
  const wait = (step: Step, others: readonly Step[] | undefined): void => {
    for (const other of others ?? []) if (other !== step) waitsFor.get(step)!.add(other);
  };
  const makes = new Index(
    steps.filter(({ act }) => act === "make"),
    reference,
  );
  const drops = new Index(
    steps.filter(({ act }) => act === "drop"),
    here,
  );
  const uses = new Uses(here);
  for (const step of steps) {
    if (step.act === "make") {
      // What is recreated is removed first.
      wait(step, drops.byId.get(step.fact.id));
      waitForMakes(step, makes, reference, wait);
    }
    // What a step removes or replaces may be the last use of something that is dropped.
    const used = step.act === "drop" ? step.fact : step.found;
    if (!used) continue;
    for (const name of uses.of(used)) for (const drop of drops.byName.get(name) ?? []) wait(drop, [step]);
    for (let within = used.within; within !== null; within = here.get(within)?.within ?? null)
      for (const drop of drops.byId.get(within) ?? []) wait(drop, [step]);
  }
  return waitsFor;
}

function waitForMakes(
  step: Step,
  makes: Index,
  reference: Facts,
  wait: (step: Step, others: readonly Step[] | undefined) => void,
): void {
  const { fact } = step;
  for (let within = fact.within; within !== null; within = reference.get(within)?.within ?? null)
    wait(step, makes.byId.get(within));
  if (fact.rank >= RANK.key) wait(step, makes.inRoot(rootOf(fact, reference), fact.rank));
  for (const name of namesIn(surface(fact))) {
    wait(step, makes.byName.get(name));
    if (readsWithin(fact)) wait(step, makes.inRoot(`relation ${name}`, RANK.foreignKey));
  }
}

/** The names that facts of a shard mention, each with all that belongs to it. */
export class Uses {
  readonly #byRoot = new Map<string, Fact[]>();

  constructor(facts: Facts) {
    for (const fact of facts.values()) put(this.#byRoot, rootOf(fact, facts), fact);
  }

  of(fact: Fact): Set<string> {
    const belonging = fact.within === null ? (this.#byRoot.get(fact.id) ?? []) : [];
    return new Set([fact, ...belonging].flatMap((one) => [...namesIn(surface(one))]));
  }
}

/** Steps by what they are about. */
class Index {
  readonly byId = new Map<string, Step[]>();
  readonly byName = new Map<string, Step[]>();
  readonly #byRoot = new Map<string, Step[]>();

  constructor(steps: readonly Step[], facts: Facts) {
    for (const step of steps) {
      put(this.byId, step.fact.id, step);
      put(this.#byRoot, rootOf(step.fact, facts), step);
      const name = nameOf(step.fact);
      if (name !== null) put(this.byName, name, step);
    }
  }

  /** The steps for a relation and what belongs to it, as far as it is made before things of a rank. */
  inRoot(root: string, rank: number): Step[] {
    return (this.#byRoot.get(root) ?? []).filter(({ fact }) => fact.rank < rank);
  }
}

function put<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
