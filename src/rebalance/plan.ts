/**
 * The rebalance planner: a layout goes in, moves come out; the same input always gives the same moves, without I/O,
 * clock or randomness.
 *
 * The objective, in this order:
 * 1. decommissioned islands end up empty; global shards stay; no more than `maxBytes` are moved;
 * 2. empty and tiny shards are even by count (tiny.ts);
 * 3. the weights of the islands are as even as they can be, up to the tolerance (solve.ts), measured by the
 *    spread: (heaviest − lightest) / mean. Shards heavier than an island's fair share are set aside first
 *    (giants.ts);
 * 4. of all such layouts, the one for which the fewest bytes have to be moved.
 *
 * A layout that is already within the tolerance stays as it is, so planning again after the moves finds
 * nothing to do.
 */
import { RefusedError } from "../errors.ts";
import { type Limits, place, spreadOf, waysFor } from "./place.ts";
import { HOMELESS, type Placement, sum } from "./problem.ts";
import { type SetUp, setUp } from "./set-up.ts";
import type { IslandLoad, Layout, Plan, PlannedMove, PlanOptions, ShardLoad } from "./types.ts";

const DEFAULT_TOLERANCE = 0.05;
/** By how much, in addition to the tolerance, the spread may grow for the sake of the counts of tiny shards. */
const SPREAD_FOR_COUNTS = 0.01;

/** Plans the moves that make a layout even. */
export function planRebalance<Shard extends ShardLoad>(
  layout: Layout<Shard>,
  options: PlanOptions = {},
): Plan<Shard> {
  const setup = setUp(layout, options);
  const homes = Int32Array.from(setup.items, ({ home }) => home);
  const forced = sum(setup.items.filter(({ home }) => home === HOMELESS).map(({ bytes }) => bytes));
  const { maxBytes = Infinity, tolerance = DEFAULT_TOLERANCE } = options;
  if (forced > maxBytes) {
    throw new RefusedError([
      `Emptying the decommissioned islands moves ${forced} bytes, more than the ${maxBytes} of --max-bytes. ` +
        "Raise the limit or decommission fewer islands.",
    ]);
  }
  if (setup.members.length < 2)
    return toPlan(
      setup,
      homes,
      homes.map(() => 0),
    );
  return toPlan(setup, homes, choosePlacement(setup, homes, { tolerance, maxBytes: maxBytes - forced }));
}

/**
 * Takes the usual placement unless it is less even than the present layout, which happens only with an unlucky
 * constellation of tiny shards or giants. With a limit on bytes all ways are tried, since any of them may make the
 * most of it.
 */
function choosePlacement(setup: SetUp<ShardLoad>, homes: Placement, limits: Limits): Placement {
  const mustMove = homes.includes(HOMELESS);
  const today = mustMove ? Infinity : spreadOf(setup, homes);
  let best = homes;
  let bestSpread = today;
  for (const way of waysFor(setup)) {
    const at = place(setup, way, limits);
    const grace = way.dealTiny && !mustMove ? SPREAD_FOR_COUNTS + limits.tolerance * today : 0;
    const spread = spreadOf(setup, at) - grace;
    if (limits.maxBytes === Infinity && spread <= today) return at;
    if (spread < bestSpread) [best, bestSpread] = [at, spread];
  }
  return best;
}

function toPlan<Shard extends ShardLoad>(setup: SetUp<Shard>, homes: Placement, at: Placement): Plan<Shard> {
  const { layout, roles, members, items } = setup;
  const moves: PlannedMove[] = [];
  const targets = new Map<ShardLoad, number>();
  items.forEach(({ shard, from, home }, i) => {
    const to = home === at[i] ? from : members[at[i]!]!;
    targets.set(shard, to);
    if (to === from) return;
    const { schema, no, weight, bytes } = shard;
    moves.push({ schema, no, from: layout[from]!.island, to: layout[to]!.island, weight, bytes });
  });
  const after = layout.map(({ island }) => ({ island, shards: [] as Shard[] }));
  layout.forEach(({ shards }, i) =>
    shards.forEach((shard) => after[targets.get(shard) ?? i]!.shards.push(shard)),
  );
  return {
    moves,
    before: layout.map(({ island, shards }) => ({ island, shards: [...shards] })),
    after,
    roles,
    bytes: sum(moves.map(({ bytes }) => bytes)),
    spreadBefore: spreadOf(setup, homes),
    spreadAfter: spreadOf(setup, at),
    stays: globalShardsLeft(setup),
  };
}

function globalShardsLeft({ layout, roles }: SetUp<ShardLoad>): Plan["stays"] {
  const leaving = layout.filter((_, i) => roles[i] === "decommissioned");
  return leaving.flatMap(({ island, shards }: IslandLoad) =>
    shards.filter(({ no }) => no === 0).map(({ schema }) => ({ schema, island })),
  );
}
