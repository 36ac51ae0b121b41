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
 * nothing to do. A shard for which a schema of its name is in the way stays where it is, or goes elsewhere.
 */
import { RefusedError } from "../errors.ts";
import { type Limits, place, spreadOf, waysFor } from "./place.ts";
import { HOMELESS, indexOfMin, type Placement, sum } from "./problem.ts";
import { compare, type Fixed, type Item, type SetUp, setUp } from "./set-up.ts";
import type { IslandLoad, Layout, Obstacle, Plan, PlannedMove, PlanOptions, ShardLoad } from "./types.ts";

const DEFAULT_TOLERANCE = 0.05;
/** By how much, in addition to the tolerance, the spread may grow for the sake of the counts of tiny shards. */
const SPREAD_FOR_COUNTS = 0.01;

/** Plans the moves that make a layout even. */
export function planRebalance<Shard extends ShardLoad>(
  layout: Layout<Shard>,
  options: PlanOptions = {},
): Plan<Shard> {
  const plan = planPastObstacles(layout, options);
  // What a limit on bytes has left undone is for the next run, with a limit of its own. A plan that has met nothing is
  // settled but for one in some thousands, and a second search takes as long as the first: 2 s for 100,000 shards.
  const settled = options.maxBytes !== undefined || plan.avoided.length === 0;
  return settled ? plan : untilSettled(plan, options);
}

/**
 * Goes on planning from the layout after a plan until a layout comes back, and returns the moves that lead there at
 * once. Shards that met an obstacle were placed by hand, and may have a better place once others have moved; and the
 * search, which begins elsewhere, may see what it has missed.
 *
 * Nearly always the layout that comes back is the last one, which needs no move. Should several take turns, the
 * choice depends on nothing but them, so that the next plan, which starts from one of them, chooses the same.
 */
function untilSettled<Shard extends ShardLoad>(first: Plan<Shard>, options: PlanOptions): Plan<Shard> {
  const steps: { key: string; plan: Plan<Shard> }[] = [];
  let back = -1;
  for (let plan = first; back < 0; plan = planPastObstacles(plan.after, options)) {
    steps.push({ key: keyOf(plan.before), plan });
    const after = keyOf(plan.after);
    back = steps.findIndex(({ key }) => key === after);
  }
  const [settled] = steps
    .slice(back)
    .sort((a, b) => a.plan.spreadBefore - b.plan.spreadBefore || compare(a.key, b.key));
  const { before, spreadBefore } = first;
  const where = new Map(settled!.plan.before.flatMap(({ shards }, i) => shards.map((shard) => [shard, i])));
  const avoided = new Map(steps.flatMap(({ plan }) => plan.avoided.map((one) => [wallOf(one), one])));
  return { ...planAround(before, options, where), spreadBefore, avoided: [...avoided.values()] };
}

/** The same for two layouts of the same islands if the same shards are on each. */
const keyOf = (layout: Layout): string =>
  JSON.stringify(layout.map(({ shards }) => shards.map(({ schema }) => schema).sort()));

/** Plans around the schemas that are in the way. */
function planPastObstacles<Shard extends ShardLoad>(
  layout: Layout<Shard>,
  options: PlanOptions,
): Plan<Shard> {
  const walls = new Set(options.inTheWay?.map(wallOf));
  const avoided: Obstacle[] = [];
  const decided = new Map<ShardLoad, number>();
  const first = planAround(layout, options, decided);
  for (let plan = first; ; plan = planAround(layout, options, decided)) {
    const barred = plan.moves.filter(({ schema, to }) => walls.has(wallOf({ schema, island: to })));
    // Those that meet an obstacle are placed by hand, and all others are planned again around them.
    if (barred.length === 0) return { ...plan, spreadBefore: first.spreadBefore, avoided };
    for (const { schema, from, to } of barred) {
      avoided.push({ schema, island: to });
      const home = layout.findIndex(({ island }) => island === from);
      const shard = layout[home]!.shards.find((one) => one.schema === schema)!;
      decided.set(shard, plan.roles[home] === "member" ? home : wayOut(plan, shard, from, walls));
    }
  }
}

const wallOf = ({ schema, island }: Obstacle): string => JSON.stringify([schema, island]);

/** Position of the lightest island that can take a shard which has to leave its own. */
function wayOut(
  { after, roles }: Plan,
  { schema }: ShardLoad,
  from: string,
  walls: ReadonlySet<string>,
): number {
  const isWalled = (island: string): boolean => walls.has(wallOf({ schema, island }));
  const loads = after.map(({ island, shards }, i) =>
    roles[i] !== "member" || isWalled(island)
      ? Infinity
      : sum(shards.filter((one) => one.schema !== schema).map(({ weight }) => weight)),
  );
  const to = indexOfMin(loads);
  if (loads[to] !== Infinity) return to;
  const on = after.map(({ island }) => island).filter(isWalled);
  throw new RefusedError([
    `${schema} cannot leave ${from}: an inactive schema of that name is in the way on ${on.join(", ")}. ` +
      "Run `shardferry cleanup`; what it does not know has to be renamed or dropped there.",
  ]);
}

function planAround<Shard extends ShardLoad>(
  layout: Layout<Shard>,
  options: PlanOptions,
  decided: Fixed,
): Plan<Shard> {
  const setup = setUp(layout, options, decided);
  const homes = Int32Array.from(setup.items, ({ home }) => home);
  const leaving = setup.fixed.filter(({ item, to }) => item.from !== to).map(({ item }) => item);
  const forced = sum(
    [...setup.items.filter(({ home }) => home === HOMELESS), ...leaving].map(({ bytes }) => bytes),
  );
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
  const { layout, roles, members, items, fixed } = setup;
  const moves: PlannedMove[] = [];
  const targets = new Map<ShardLoad, number>();
  const send = ({ shard, from }: Item<Shard>, to: number): void => {
    targets.set(shard, to);
    if (to === from) return;
    const { schema, no, weight, bytes } = shard;
    moves.push({ schema, no, from: layout[from]!.island, to: layout[to]!.island, weight, bytes });
  };
  items.forEach((item, i) => send(item, item.home === at[i] ? item.from : members[at[i]!]!));
  for (const { item, to } of fixed) send(item, to);
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
    avoided: [],
  };
}

function globalShardsLeft({ layout, roles }: SetUp<ShardLoad>): Plan["stays"] {
  const leaving = layout.filter((_, i) => roles[i] === "decommissioned");
  return leaving.flatMap(({ island, shards }: IslandLoad) =>
    shards.filter(({ no }) => no === 0).map(({ schema }) => ({ schema, island })),
  );
}
