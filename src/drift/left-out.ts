import type { Fact } from "./facts.ts";
import { comment, isComment } from "./statements.ts";
import type { Step, Steps } from "./steps.ts";

/** The steps that cannot run because of something that stays as it is, each with the label of that. */
export function leftOut(steps: Steps): Map<Step, string> {
  const out = new Map<Step, string>();
  const obstacles = new Obstacles(steps, out);
  // What is left out may be needed by something else.
  for (let found = true; found;) {
    found = false;
    for (const step of steps.all) {
      if (out.has(step) || isEmpty(step)) continue;
      const reason = obstacles.of(step);
      if (reason === null) continue;
      out.set(step, reason);
      found = true;
    }
  }
  return out;
}

/** Turns a step that is left out into a comment that says so. */
export function commented(step: Step, out: ReadonlyMap<Step, string>): Step {
  const reason = out.get(step);
  if (reason === undefined) return step;
  const statements = step.statements.filter((one) => !isComment(one));
  return {
    ...step,
    statements: statements.map((one) =>
      comment(`left out, because of ${reason}:\n${one.replaceAll(/^/gm, "  ")}`),
    ),
  };
}

/** True for a step that only says what is to be done by hand. */
const isEmpty = ({ statements }: Step): boolean => statements.every(isComment);

/** Why steps cannot run, given those that are left out already; each as the label of something else. */
class Obstacles {
  readonly #steps: Steps;
  readonly #out: ReadonlyMap<Step, string>;

  constructor(steps: Steps, out: ReadonlyMap<Step, string>) {
    this.#steps = steps;
    this.#out = out;
  }

  of(step: Step): string | null {
    const staying = this.#steps.blockersOf(step).find((one) => this.#stays(one));
    return staying?.label ?? this.#ofPartner(step) ?? (step.act === "make" ? this.#missing(step) : null);
  }

  #isOut(step: Step): boolean {
    return isEmpty(step) || this.#out.has(step);
  }

  /** Whether something that is in the shard remains there, and as it is. */
  #stays({ id }: Fact): boolean {
    const drop = this.#steps.dropperOf(id);
    const change = this.#steps.make(id);
    return (!drop || this.#isOut(drop)) && (!change?.found || this.#isOut(change));
  }

  /** What is recreated is dropped only if it can be created again, and the other way round. */
  #ofPartner(step: Step): string | null {
    const partner = this.#steps.partnersOf(step).find((one) => this.#out.has(one));
    return partner ? this.#out.get(partner)! : null;
  }

  /** The label of something that the statements of a step need and that is not there. */
  #missing(step: Step): string | null {
    const text = surface(step.fact);
    for (const id of this.#steps.reference.owners(step.fact)) {
      const maker = this.#steps.makerOf(id);
      // A table of another kind cannot have what belongs to it.
      if (maker && this.#isOut(maker) && (!maker.found || isRelation(maker.fact))) return maker.fact.label;
    }
    return this.#firstMissing(this.#steps.needsOf(step), text);
  }

  /** Without a text, the new form of everything is needed. */
  #firstMissing(ids: readonly string[], text: string | null): string | null {
    for (const id of ids) {
      const maker = this.#steps.makerOf(id);
      if (maker && this.#isOut(maker) && needsNewForm(maker, text)) return maker.fact.label;
      const source = this.#firstMissing(this.#steps.sourcesOf(id), null);
      if (source !== null) return source;
    }
    return null;
  }
}

const isRelation = ({ id }: Fact): boolean => id.startsWith("relation ");

/** Whether a text that uses something that stays in its old form needs the form that is wanted. */
function needsNewForm({ fact, found }: Step, text: string | null): boolean {
  if (!found || text === null) return true;
  // A table of the name is there, but may not be partitioned.
  if (isRelation(fact)) return /\b(?:PARTITION|INHERITS?)\b/.test(text);
  // A type of the name is there, but may lack a label or an attribute.
  const lacking = (fact.list ?? []).filter((one) => !found.list?.includes(one));
  return fact.id.startsWith("type ") && lacking.some((one) => text.includes(one.replaceAll("'", "''")));
}

const BODY = /\nAS ['$]/;

/** The part of a fact's DDL that has to be valid for it to run: of most functions, all but the body. */
const surface = ({ id, ddl }: Fact): string =>
  id.startsWith("function ") ? ddl.slice(0, BODY.exec(ddl)?.index ?? ddl.length) : ddl;
