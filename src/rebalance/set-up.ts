/**
 * A layout in the form in which the planner works on it: checked, with islands and shards by number, in an order
 * that does not depend on the order in which islands answered.
 */
import { RefusedError, UsageError } from "../errors.ts";
import { sum } from "./problem.ts";
import type { IslandRole, Layout, PlanOptions, ShardLoad } from "./types.ts";

export interface Item<Shard extends ShardLoad> {
  shard: Shard;
  /** Position of its island in the layout. */
  from: number;
  /** Number of its island among the members, or HOMELESS. */
  home: number;
  weight: number;
  bytes: number;
}

export interface SetUp<Shard extends ShardLoad> {
  layout: Layout<Shard>;
  roles: IslandRole[];
  /** Positions in the layout of the islands that take part and stay. */
  members: number[];
  /** The shards that may be moved, heaviest first. */
  items: Item<Shard>[];
  /** Shards whose island is decided already, with its position in the layout. */
  fixed: { item: Item<Shard>; to: number }[];
  /** The weight on each member whatever is planned: that of its global shard and of the fixed ones. */
  base: Float64Array;
  baseCounts: number[];
}

/** Shards whose island is decided: positions in the layout. */
export type Fixed = ReadonlyMap<ShardLoad, number>;

/** Sets up a layout for planning; refuses invalid names, weights and decommissions. */
export function setUp<Shard extends ShardLoad>(
  layout: Layout<Shard>,
  options: PlanOptions,
  decided: Fixed = new Map(),
): SetUp<Shard> {
  checkLayout(layout);
  const roles = assignRoles(layout, options.decommission ?? []);
  const members = [...layout.keys()]
    .filter((i) => roles[i] === "member")
    .sort((a, b) => compare(layout[a]!.island, layout[b]!.island));
  const all = layout.flatMap(({ shards }, from) =>
    shards
      .filter(({ no }) => no !== 0)
      .map((shard) => ({
        shard,
        from,
        home: members.indexOf(from),
        weight: shard.weight,
        bytes: shard.bytes,
      })),
  );
  if (members.length === 0 && all.length > 0) {
    throw new RefusedError([
      "Decommissioning leaves no island that could take the shards. Name fewer islands, or add one to --dsns; " +
        "an island with only the global shard takes none.",
    ]);
  }
  all.sort(
    (a, b) =>
      b.weight - a.weight ||
      a.shard.no - b.shard.no ||
      compare(a.shard.schema, b.shard.schema) ||
      compare(layout[a.from]!.island, layout[b.from]!.island),
  );
  const items = all.filter(({ shard }) => !decided.has(shard));
  const fixed = all.flatMap((item) => {
    const to = decided.get(item.shard);
    return to === undefined ? [] : [{ item, to }];
  });
  const staying = members.map((i): ShardLoad[] => [
    ...layout[i]!.shards.filter(({ no }) => no === 0),
    ...fixed.filter(({ to }) => to === i).map(({ item }) => item.shard),
  ]);
  const base = Float64Array.from(staying, (shards) => sum(shards.map(({ weight }) => weight)));
  return { layout, roles, members, items, fixed, base, baseCounts: staying.map(({ length }) => length) };
}

function assignRoles(layout: Layout, decommission: readonly string[]): IslandRole[] {
  const names = layout.map(({ island }) => island);
  const unknown = decommission.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new UsageError(
      `No such island to decommission: ${unknown.join(", ")}. The islands are: ${names.join(", ")}`,
    );
  }
  return layout.map(({ island, shards }) => {
    if (decommission.includes(island)) return "decommissioned";
    return shards.length > 0 && shards.every(({ no }) => no === 0) ? "global" : "member";
  });
}

function checkLayout(layout: Layout): void {
  const seen = new Set<string>();
  for (const { island, shards } of layout) {
    if (seen.has(island)) throw new UsageError(`The island ${island} is in the layout twice.`);
    seen.add(island);
    for (const { schema, weight, bytes } of shards) {
      if (weight >= 0 && weight < Infinity && bytes >= 0 && bytes < Infinity) continue;
      throw new UsageError(
        `The shard ${schema} on ${island} has the weight ${weight} and ${bytes} bytes; both must be numbers of 0 or more. ` +
          "Check --weight-sql and the shard's factor.",
      );
    }
  }
}

/** Compares by code unit, which, unlike localeCompare, gives the same order on every machine. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
