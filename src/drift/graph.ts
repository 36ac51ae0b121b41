import { groupBy } from "../group-by.ts";
import type { Facts } from "./compare.ts";
import type { Fact } from "./facts.ts";

/** The facts of a shard by what they belong to, and by what they depend on. */
export class Graph {
  readonly #parts: ReadonlyMap<string | null, readonly Fact[]>;
  readonly #users: ReadonlyMap<string, readonly { fact: Fact }[]>;

  constructor(readonly facts: Facts) {
    const all = [...facts.values()];
    this.#parts = groupBy(all, ({ within }) => within);
    const needs = all.flatMap((fact) => fact.needs.map((need) => ({ need, fact })));
    this.#users = groupBy(needs, ({ need }) => need);
  }

  /** The ids of what a fact belongs to, directly first. */
  owners({ within }: Fact): string[] {
    const owner = within === null ? undefined : this.facts.get(within);
    return within === null ? [] : [within, ...(owner ? this.owners(owner) : [])];
  }

  /** The relation, or other object, to which a fact belongs directly or indirectly; its own id if it is one. */
  rootOf(fact: Fact): string {
    return this.owners(fact).at(-1) ?? fact.id;
  }

  /** A fact with all that is dropped with it: what belongs to it, and what others inherit from it. */
  tree(fact: Fact): Fact[] {
    const heirs = (this.#users.get(fact.id) ?? []).filter((one) => one.fact.inherited);
    return [...this.#withParts(fact), ...heirs.flatMap((one) => this.tree(one.fact))];
  }

  #withParts(fact: Fact): Fact[] {
    return [fact, ...(this.#parts.get(fact.id) ?? []).flatMap((part) => this.#withParts(part))];
  }

  /** A fact with all that its DDL creates. */
  whole(fact: Fact): Fact[] {
    const parts = (this.#parts.get(fact.id) ?? []).filter(({ included }) => included);
    return [fact, ...parts.flatMap((part) => this.whole(part))];
  }

  /** What depends on a fact or on something that belongs to it, without belonging to it as well. */
  users(fact: Fact): Fact[] {
    const tree = new Set(this.tree(fact));
    const users = [...tree].flatMap(({ id }) => (this.#users.get(id) ?? []).map((one) => one.fact));
    return users.filter((user) => !tree.has(user));
  }
}
