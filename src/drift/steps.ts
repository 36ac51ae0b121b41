import { type Fact, RANK } from "./facts.ts";
import type { Graph } from "./graph.ts";
import { isColumnType, preventsNewType } from "./recreate.ts";

/** A step of a repair: it removes a fact, or makes it true. */
export interface Step {
  readonly act: "drop" | "make";
  /** For what is dropped, as it is in the shard; otherwise as it is wanted. */
  readonly fact: Fact;
  /** What the step changes in place. */
  readonly found?: Fact | undefined;
  readonly statements: readonly string[];
}

/** The steps of a repair, by what they are about. */
export class Steps {
  readonly #makes: ReadonlyMap<string, Step>;
  readonly #drops: ReadonlyMap<string, Step>;
  readonly #partners = new Map<Step, Step[]>();

  constructor(
    readonly all: readonly Step[],
    readonly reference: Graph,
    readonly here: Graph,
  ) {
    const by = (act: Step["act"]): Map<string, Step> =>
      new Map(all.filter((step) => step.act === act).map((step) => [step.fact.id, step]));
    this.#makes = by("make");
    this.#drops = by("drop");
    for (const step of all) {
      const drop = step.act === "make" && !step.found ? this.dropperOf(step.fact.id) : undefined;
      if (!drop) continue;
      this.#partners.set(step, [drop]);
      this.#partners.set(drop, [...(this.#partners.get(drop) ?? []), step]);
    }
  }

  /** The step about this very fact. */
  make(id: string): Step | undefined {
    return this.#makes.get(id);
  }

  /** The step that makes a fact true: its own, or that of what it is included in. */
  makerOf(id: string): Step | undefined {
    const own = this.#makes.get(id);
    const fact = this.reference.facts.get(id);
    if (own || !fact?.included || fact.within === null) return own;
    const maker = this.makerOf(fact.within);
    return maker?.found ? undefined : maker;
  }

  /** What has to be there for a fact to be there: a column that a table has from its parent needs the parent's. */
  sourcesOf(id: string): readonly string[] {
    const fact = this.reference.facts.get(id);
    if (!fact || this.here.facts.has(id)) return [];
    return fact.inherited || !this.makerOf(id) ? fact.needs : [];
  }

  /** The step that removes a fact of the shard: its own, or that of what it belongs to. */
  dropperOf(id: string): Step | undefined {
    const fact = this.here.facts.get(id);
    const ids = fact ? [id, ...this.here.owners(fact)] : [];
    return ids.map((one) => this.#drops.get(one)).find((step) => step !== undefined);
  }

  /** The ids of what the statements of a step need. */
  needsOf({ act, fact }: Step): string[] {
    return act === "drop" ? [] : this.reference.whole(fact).flatMap(({ needs }) => needs);
  }

  /** The steps that remove what a step creates again, or create again what it removes. */
  partnersOf(step: Step): readonly Step[] {
    return this.#partners.get(step) ?? [];
  }

  /** What a step needs to be gone: uses of what it drops, or of a column whose type it changes. */
  blockersOf({ act, fact, found }: Step): Fact[] {
    // A sequence that a column owns goes with it.
    const goesToo = ({ id, rank }: Fact): boolean => rank === RANK.ownedBy && !this.#drops.has(id);
    if (act === "drop") return this.here.users(fact).filter((user) => !goesToo(user));
    const column = found && isColumnType(fact) ? this.here.facts.get(fact.within!) : undefined;
    return column ? this.here.users(column).filter(preventsNewType) : [];
  }
}
