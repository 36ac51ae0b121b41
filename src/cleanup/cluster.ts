import type { IslandName } from "../../contract/names.ts";
import { copyBase } from "../postgres/schema/copy-names.ts";
import type { Catalog } from "./catalog.ts";

/** What is known over all islands. */
export class Cluster {
  readonly islands: string;
  readonly #catalogs: readonly Catalog[];
  readonly #active: ReadonlySet<string>;
  readonly #left: ReadonlySet<string>;
  readonly #long: ReadonlyMap<string, string>;

  constructor(catalogs: readonly Catalog[]) {
    const departures = catalogs.flatMap((catalog) => catalog.departures.all);
    this.#catalogs = catalogs;
    this.islands = catalogs.map(({ island }) => island).join(", ");
    this.#active = new Set(catalogs.flatMap((catalog) => [...catalog.active]));
    this.#left = new Set(departures.map(({ schema, runId }) => `${runId} ${schema}`));
    const known = [...this.#active, ...departures.map(({ schema }) => schema)];
    this.#long = new Map(
      known.filter((name) => copyBase(name) !== name).map((name) => [copyBase(name), name]),
    );
  }

  isActive(schema: string): boolean {
    return this.#active.has(schema);
  }

  /** The islands that have a schema of this name, active or not. */
  placesOf(schema: string): IslandName[] {
    return this.#catalogs.filter(({ present }) => present.has(schema)).map(({ island }) => island);
  }

  /** True when the source has let go of a shard in this run: what its destination has is all that is new. */
  hasLeft(schema: string, runId: string): boolean {
    return this.#left.has(`${runId} ${schema}`);
  }

  /** The schema of which a copy's name has only the beginning. */
  longName(base: string): string | undefined {
    return this.#long.get(base);
  }

  /** True when anything of this name is at work: a slot that is read, a subscription's worker, a step's session. */
  isAtWork(replication: string): boolean {
    return this.#catalogs.some(
      ({ objects, sessions }) =>
        sessions.has(replication) || objects.some(({ name, atWork }) => name === replication && atWork),
    );
  }
}
