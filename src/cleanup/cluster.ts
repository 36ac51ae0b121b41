import type { IslandName } from "../../contract/names.ts";
import { copyBase } from "../postgres/schema/copy-names.ts";
import type { Catalog } from "./catalog.ts";

/** What is known across all islands. */
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

  /** True if the shard has left its source in this run: then only the destination has its latest state. */
  hasLeft(schema: string, runId: string): boolean {
    return this.#left.has(`${runId} ${schema}`);
  }

  /** The schema of a copy whose name contains only the beginning of the schema's. */
  longName(base: string): string | undefined {
    return this.#long.get(base);
  }

  /** True if anything with this name is in use: a slot that is being read, a subscription's worker, a step's session. */
  isAtWork(replication: string): boolean {
    return this.#catalogs.some(
      ({ objects, sessions }) =>
        sessions.has(replication) || objects.some(({ name, atWork }) => name === replication && atWork),
    );
  }
}
