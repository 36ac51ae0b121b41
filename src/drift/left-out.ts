import type { Facts } from "./compare.ts";
import { nameOf, namesIn, surface } from "./mentions.ts";
import { type Step, Uses } from "./order.ts";

/** An object that a repair cannot bring in line. */
interface Left {
  readonly label: string;
  /** The name that others mention; null if none can. */
  readonly name: string | null;
  /** Whether what belongs to it needs it in the form that is wanted. */
  readonly isNeededWithin: boolean;
  /** Whether a text that mentions it needs it in the form that is wanted. */
  readonly isNeededBy: (text: string) => boolean;
}

/** Turns the steps that cannot run, because they need something that stays as it is, into comments that say so. */
export function leaveOut(steps: readonly Step[], reference: Facts, here: Facts): Step[] {
  const left = new Map<string, Left>();
  for (const step of steps) if (isLeft(step)) left.set(step.fact.id, leftOf(step));
  const uses = new Uses(here);
  const kept = new Set<string>();
  for (const step of steps)
    if (step.found && isLeft(step)) for (const name of uses.of(step.found)) kept.add(name);
  const out = new Map<Step, string>();
  // What is left out may be needed by something else.
  for (let found = true; found;) {
    found = false;
    for (const step of steps) {
      if (out.has(step) || isLeft(step)) continue;
      const reason = step.act === "make" ? reasonAgainst(step, left, reference) : stillUsed(step, kept);
      if (reason === null) continue;
      out.set(step, reason);
      if (step.act === "make") left.set(step.fact.id, leftOf(step));
      found = true;
    }
  }
  return steps.map((step) =>
    out.has(step)
      ? { ...step, statements: step.statements.flatMap((one) => commented(one, out.get(step)!)) }
      : step,
  );
}

/** A step without any statement, except for what is only said about a column or constraint. */
const isLeft = ({ fact, statements }: Step): boolean =>
  nameOf(fact) !== null && statements.every((one) => one.split("\n").every((line) => line.startsWith("--")));

function leftOf({ fact, found }: Step): Left {
  const isNeededWithin = !found || fact.id.startsWith("relation ");
  return { label: fact.label, name: nameOf(fact), isNeededWithin, isNeededBy: neededIf(fact, found) };
}

function neededIf(fact: Step["fact"], found: Step["found"]): Left["isNeededBy"] {
  if (!found) return () => true;
  // An enum of the name is there, but may lack a label.
  const lacking = (fact.list ?? []).filter((label) => !found.list?.includes(label));
  if (fact.id.startsWith("type ")) {
    const literals = lacking.map((label) => `'${label.replaceAll("'", "''")}'`);
    return (text) => literals.some((one) => text.includes(one));
  }
  // A table of the name is there, but may not be partitioned.
  if (fact.id.startsWith("relation ")) return (text) => /\b(?:PARTITION|INHERITS?|REFERENCES)\b/.test(text);
  return () => false;
}

function reasonAgainst({ fact }: Step, left: ReadonlyMap<string, Left>, reference: Facts): string | null {
  for (let within = fact.within; within !== null; within = reference.get(within)?.within ?? null) {
    const one = left.get(within);
    if (one?.isNeededWithin) return one.label;
  }
  const text = surface(fact);
  const names = namesIn(text);
  for (const [id, one] of left)
    if (id !== fact.id && one.name !== null && names.has(one.name) && one.isNeededBy(text)) return one.label;
  return null;
}

function stillUsed({ fact }: Step, kept: ReadonlySet<string>): string | null {
  const name = nameOf(fact);
  return name !== null && kept.has(name) ? "what is left as it is" : null;
}

const commented = (statement: string, reason: string): string[] =>
  statement.startsWith("--")
    ? []
    : [
        [`-- left out, because of ${reason}:`, ...statement.split("\n").map((line) => `--   ${line}`)].join(
          "\n",
        ),
      ];
