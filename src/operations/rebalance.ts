import { type IslandName, REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { type RebalanceInput } from "../../contract/rebalance.ts";
import type { MoveLimits } from "../../workflows/rebalance-schedule.ts";
import type { Settings } from "../config/settings.ts";
import { moveSwitches, type MoveSwitchesRequest } from "../config/switches.ts";
import { ShardferryError, UsageError } from "../errors.ts";
import { readRooms } from "../layout/capacity.ts";
import { chooseCopyMethod, DIRECT_COPY_BYTES, largestCopy } from "../layout/copy-method.ts";
import { readInTheWay } from "../layout/in-the-way.ts";
import { type Layout, readLayout } from "../layout/read.ts";
import { NotInstalledError } from "../postgres/api/sql-api.ts";
import { type ConnectedIsland, resolveIsland } from "../postgres/islands/discover.ts";
import { concurrencyOf, timeFor } from "../rebalance/forecast.ts";
import { planRebalance } from "../rebalance/plan.ts";
import type { Plan, PlannedMove } from "../rebalance/types.ts";
import { askTemporal } from "../temporal/ask.ts";
import { readPace } from "../watch/pace.ts";
import type { RebalanceResult } from "../watch/rebalance-result.ts";
import { attachIfSame, findRunning, start } from "../watch/start.ts";
import type { Watch } from "../watch/watch.ts";
import { opened, type Opening, Session } from "../worker/session.ts";
import { digestOf, planAsMade, type RebalancePlan, type RebalanceProposal } from "./rebalance-plan.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

/** The request for a rebalance; a missing option has the default of the command line. */
export interface RebalanceRequest extends MoveSwitchesRequest {
  /** The islands to empty, as DSNs or prefixes of names. */
  decommission?: readonly string[] | undefined;
  /** The most bytes to move; the plan is the most even layout possible within them. */
  maxBytes?: number | undefined;
  /** Number of concurrent moves from or to one island. */
  perIsland?: number | undefined;
  /** A plan that was made before: exactly its moves are made, if the layout is still the same. */
  plan?: RebalancePlan | undefined;
}

/** The maximum number of moves of one rebalance. */
const MAX_MOVES = 10_000;
/** The result has to fit into a payload of 2 MB, together with the reasons of failures. */
const MAX_RESULT_BYTES = 1_700_000;
/** Size of one move in the result, without the name of its schema. */
const BYTES_OF_A_RESULT = 160;

/** Takes as many moves of a plan as one workflow can make. */
export function fitMoves({ moves }: Pick<Plan, "moves">): Pick<RebalanceProposal, "moves" | "remaining"> {
  let bytes = 0;
  const tooMany = moves.findIndex(({ schema }, i) => {
    bytes += BYTES_OF_A_RESULT + Buffer.byteLength(schema);
    return i >= MAX_MOVES || bytes > MAX_RESULT_BYTES;
  });
  const fitting = tooMany === -1 ? moves : moves.slice(0, tooMany);
  return { moves: fitting, remaining: moves.length - fitting.length };
}

/**
 * Reads where the shards are, and plans the moves that make the weights of the islands even, or checks the plan of the
 * request; changes nothing.
 */
export async function proposeRebalance(
  settings: Settings,
  request: RebalanceRequest = {},
): Promise<RebalanceProposal> {
  const leaving = request.decommission ?? [];
  return readIslands(dsnsOf(settings, ...leaving), async (islands) => {
    const decommission = leaving.map((text) => resolveIsland(text, islands, settings.env).name);
    if (new Set(decommission).size === islands.length)
      throw new UsageError("--decommission: at least one island has to remain for the shards.");
    const { plan: made, maxBytes } = request;
    const basis = made?.basis ?? {
      decommission,
      maxBytes: maxBytes ?? null,
      weightSql: settings.weightSql ?? null,
    };
    const layout = await readLayout(islands, { weightSql: basis.weightSql ?? undefined });
    refuseUnsound(layout);
    const inTheWay = await readInTheWay(islands, layout);
    const plan = made
      ? planAsMade(made, layout.islands, inTheWay)
      : planRebalance(layout.islands, { decommission, maxBytes, inTheWay });
    const largest = await largestOf(islands, plan.moves);
    const method = chooseCopyMethod(moveSwitches(settings, request).copyMethod, largest);
    const limited = await readRooms(islands, method === "tablesync");
    const rooms = limited.map(({ islands, leaving, arriving }) => ({ islands, leaving, arriving }));
    const fitting = fitMoves(plan);
    const limits = { parallelism: settings.parallelism, perIsland: request.perIsland, rooms };
    return {
      plan,
      unit: unitOf(layout),
      rooms,
      ...fitting,
      basis,
      concurrency: concurrencyOf(fitting.moves, limits, limited),
      expectedMs: await expectedMs(settings, fitting.moves, limits),
    };
  });
}

/** Milliseconds that all moves take together, as far as earlier moves tell; null if they do not. */
async function expectedMs(
  settings: Settings,
  moves: readonly PlannedMove[],
  limits: MoveLimits,
): Promise<number | null> {
  const pace = moves.length === 0 ? null : await askTemporal(settings.env, readPace);
  return pace && timeFor(moves, limits, pace.msOf);
}

/** Returns the size of the largest shard to move, measured as by its copy; only possibly large shards are measured. */
async function largestOf(
  islands: readonly ConnectedIsland[],
  moves: readonly PlannedMove[],
): Promise<number> {
  const large = moves.filter(({ bytes }) => bytes > DIRECT_COPY_BYTES);
  const sizes = await Promise.all(
    islands.map(async ({ name, client }) => {
      const schemas = large.filter(({ from }) => from === name).map(({ schema }) => schema);
      return schemas.length === 0 ? 0 : largestCopy(client, schemas);
    }),
  );
  return Math.max(0, ...sizes);
}

/**
 * Attaches to the running rebalance if its request is the same. Otherwise plans, asks `approve`, and starts the moves as
 * children of one workflow. Returns null if there is nothing to move, or `approve` returned false.
 */
export async function rebalance(
  opening: Opening,
  settings: Settings,
  request: RebalanceRequest,
  approve: (proposal: RebalanceProposal) => boolean | Promise<boolean>,
): Promise<Watch<RebalanceResult> | null> {
  const dsns = dsnsOf(settings, ...(request.decommission ?? []));
  const memo = requestOf(
    settings,
    request,
    dsns.map(({ name }) => name),
  );
  if (typeof opening !== "function" || (await Session.mayFind(settings))) {
    const session = await opened(opening);
    const running = await findRunning(session.temporal, REBALANCE_WORKFLOW_ID);
    if (running) {
      const watch = attachIfSame<RebalanceResult>(session.temporal, running, memo);
      session.work(dsns);
      return watch;
    }
  }
  const proposal = await proposeRebalance(settings, request);
  const approved = await approve(proposal);
  if (!approved || proposal.plan.moves.length === 0) return null;
  const session = await opened(opening);
  session.work(dsns);
  const input = inputOf(settings, request, proposal);
  return start<RebalanceResult>(
    session.temporal,
    "rebalance",
    REBALANCE_WORKFLOW_ID,
    { ...input, startedBy: settings.startedBy },
    memo,
  );
}

/** A later request counts as the same if this is equal. The plan is not part of it, because it changes all the time. */
function requestOf(settings: Settings, request: RebalanceRequest, islands: IslandName[]): object {
  const { plan } = request;
  return {
    islands,
    decommission: request.decommission ?? [],
    weightSql: settings.weightSql ?? null,
    maxBytes: request.maxBytes ?? null,
    parallelism: settings.parallelism,
    perIsland: request.perIsland ?? null,
    plan: plan && digestOf(plan),
    ...moveSwitches(settings, request),
  };
}

function inputOf(
  settings: Settings,
  request: RebalanceRequest,
  { plan, rooms, moves, remaining }: RebalanceProposal,
): RebalanceInput {
  const islands = plan.before.map(({ island }) => island);
  const place = new Map(islands.map((island, i) => [island, i]));
  return {
    islands,
    switches: moveSwitches(settings, request),
    parallelism: settings.parallelism,
    perIsland: request.perIsland ?? null,
    rooms: [...rooms],
    pending: moves.map(({ schema, no, from, to, bytes }) => ({
      schema,
      shard: no,
      from: place.get(from)!,
      to: place.get(to)!,
      bytes,
    })),
    remaining,
    maxEvents: null,
  };
}

/** Throws what has to be corrected before anything can be planned. */
function refuseUnsound({ islands }: Layout): void {
  const bare = islands.filter(({ installed }) => !installed).map(({ island }) => island);
  if (bare.length > 0) throw new NotInstalledError(bare);
  const places = new Map<number, { schema: string; on: IslandName[] }>();
  for (const { island, shards } of islands) {
    for (const { no, schema } of shards) {
      const place = places.get(no) ?? { schema, on: [] };
      place.on.push(island);
      places.set(no, place);
    }
  }
  // The global shard may be on every island; a rebalance never moves it.
  const twice = [...places].filter(([no, { on }]) => no !== 0 && on.length > 1);
  if (twice.length === 0) return;
  const list = twice.map(([, { schema, on }]) => `${schema} on ${on.join(" and ")}`).join("; ");
  throw new ShardferryError(
    "refused",
    `Shards are active on several islands: ${list}. Deactivate all but one.`,
  );
}

function unitOf({ islands }: Layout): string {
  const units = new Set(islands.flatMap(({ shards }) => shards.map(({ unit }) => unit)));
  if (units.size <= 1) return [...units][0] ?? "B";
  const list = [...units].map((unit) => `"${unit}"`).join(", ");
  throw new UsageError(`--weight-sql returns weights in different units, which cannot be compared: ${list}.`);
}
