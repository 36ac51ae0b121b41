import { groupBy } from "../group-by.ts";
import { byMaking } from "./compare.ts";
import { RANK } from "./facts.ts";
import { isColumnType } from "./recreate.ts";
import type { Step, Steps } from "./steps.ts";

/**
 * Sorts the steps of a repair so that each of them can run: what is removed before what is made, dependents before what
 * they depend on when they are removed, and after it when they are made.
 */
export function inOrder(steps: Steps): Step[] {
  const waitsFor = dependencies(steps);
  const left = [...steps.all].sort(byDefault);
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

type Wait = (step: Step, other: Step | undefined) => void;

function dependencies(steps: Steps): Map<Step, Set<Step>> {
  const waitsFor = new Map(steps.all.map((step) => [step, new Set<Step>()]));
  const wait: Wait = (step, other) => {
    if (other && other !== step) waitsFor.get(step)!.add(other);
  };
  const { reference, here } = steps;
  const makesOf = groupBy(
    steps.all.filter(({ act }) => act === "make"),
    ({ fact }) => reference.rootOf(fact),
  );
  for (const step of steps.all) {
    for (const user of steps.blockersOf(step)) {
      wait(step, steps.dropperOf(user.id));
      if (steps.make(user.id)?.found) wait(step, steps.make(user.id));
    }
    if (step.act === "drop") {
      // What belongs to it and has a step of its own goes first.
      for (const { id } of here.tree(step.fact)) wait(step, steps.dropperOf(id));
    } else {
      for (const partner of steps.partnersOf(step)) wait(step, partner);
      waitForMakes(step, steps, wait);
      // Whatever else is there before: constraints before the attachment of a partition, triggers before their state.
      if (step.fact.rank < RANK.key) continue;
      for (const other of makesOf.get(reference.rootOf(step.fact)) ?? [])
        if (other.fact.rank < step.fact.rank) wait(step, other);
    }
  }
  return waitsFor;
}

function waitForMakes(step: Step, steps: Steps, wait: Wait): void {
  const column = isColumnType(step.fact) && step.found ? step.fact.within : null;
  // The default of the old type.
  if (column !== null) wait(step, steps.dropperOf(`default ${column}`));
  const waitFor = (id: string): void => {
    wait(step, steps.makerOf(id));
    // In the form that it is to have.
    for (const what of ["type", "state"]) wait(step, steps.make(`${what} ${id}`));
    steps.sourcesOf(id).forEach(waitFor);
  };
  [...steps.reference.owners(step.fact), ...steps.needsOf(step)].forEach(waitFor);
}
