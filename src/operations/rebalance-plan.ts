import { readFile, writeFile } from "node:fs/promises";

import * as z from "zod";

import type { Room } from "../../contract/rebalance.ts";
import { messageOf, ShardferryError, UsageError } from "../errors.ts";
import { bytes } from "../format.ts";
import type { IslandLayout, ShardInfo } from "../layout/read.ts";
import { digest } from "../postgres/schema/copy-names.ts";
import type { Concurrency } from "../rebalance/forecast.ts";
import type { Obstacle, Plan, PlannedMove } from "../rebalance/types.ts";

/** What a rebalance would do. */
export interface RebalanceProposal {
  readonly plan: Plan<ShardInfo>;
  /** Unit of the weights: `B` for bytes. */
  readonly unit: string;
  /** How many concurrent moves each server has capacity for. */
  readonly rooms: readonly Room[];
  /** The moves of the plan that this rebalance makes. */
  readonly moves: readonly PlannedMove[];
  /** How many more moves the plan has; the next rebalance plans them again. */
  readonly remaining: number;
  /** What was asked for. */
  readonly basis: RebalancePlan["basis"];
  readonly concurrency: Concurrency;
  /** Milliseconds for all moves, judging by earlier ones; null if there are none to judge by. */
  readonly expectedMs: number | null;
}

const amount = z.number().min(0);
const side = z.object({ weight: amount, bytes: amount, shards: z.array(z.string()) });

/** The plan of a rebalance as a document; another version has another form. */
const PLAN = z.object({
  version: z.literal(1),
  createdAt: z.string(),
  /** What was asked for. */
  basis: z.object({
    decommission: z.array(z.string()),
    maxBytes: amount.nullable(),
    weightSql: z.string().nullable(),
  }),
  /** Unit of the weights: `B` for bytes. */
  unit: z.string(),
  spreadBefore: amount,
  spreadAfter: amount,
  islands: z.array(
    z.object({
      island: z.string(),
      role: z.enum(["member", "decommissioned", "global"]),
      before: side,
      after: side,
      /** Bytes of the shards that arrive. */
      arrivingBytes: amount,
      /** Bytes of the old copies that stay there until `shardferry cleanup` drops them. */
      oldCopyBytes: amount,
      /** How many concurrent moves its server has room for. */
      room: z.object({ leaving: amount, arriving: amount }).nullable(),
    }),
  ),
  moves: z.array(
    z.object({
      schema: z.string(),
      shard: z.int().min(1),
      from: z.string(),
      to: z.string(),
      weight: amount,
      bytes: amount,
    }),
  ),
  bytes: amount,
  /** Moves that one rebalance does not make, because it makes at most ten thousand. */
  remaining: amount,
  /** Global shards that stay on decommissioned islands. */
  stays: z.array(z.object({ schema: z.string(), island: z.string() })),
  /** Shards that would better go to an island, but for an inactive schema of their name there. */
  inTheWay: z.array(z.object({ schema: z.string(), island: z.string(), remedy: z.string() })),
  concurrency: z.object({ asked: amount, possible: amount, because: z.array(z.string()) }),
  expectedMs: amount.nullable(),
});

/** The plan of a rebalance, to be kept in a file. */
export type RebalancePlan = z.infer<typeof PLAN>;

const REMEDY = "run `shardferry cleanup`; if it does not know the schema, rename or drop it there";

/** Turns a proposal into a document. */
export function documentOf(proposal: RebalanceProposal): RebalancePlan {
  const { plan, unit, rooms, moves, remaining, basis, concurrency, expectedMs } = proposal;
  const sideOf = (shards: readonly ShardInfo[]): z.infer<typeof side> => ({
    weight: sum(shards.map(({ weight }) => weight)),
    bytes: sum(shards.map(({ bytes }) => bytes)),
    shards: shards.map(({ schema }) => schema),
  });
  const islands = plan.before.map(({ island, shards }, i) => {
    const room = rooms.find(({ islands }) => islands.includes(island));
    return {
      island,
      role: plan.roles[i]!,
      before: sideOf(shards),
      after: sideOf(plan.after[i]!.shards),
      arrivingBytes: sum(plan.moves.filter(({ to }) => to === island).map(({ bytes }) => bytes)),
      oldCopyBytes: sum(plan.moves.filter(({ from }) => from === island).map(({ bytes }) => bytes)),
      room: room ? { leaving: room.leaving, arriving: room.arriving } : null,
    };
  });
  return {
    version: 1,
    createdAt: new Date().toISOString(),
    basis,
    unit,
    spreadBefore: plan.spreadBefore,
    spreadAfter: plan.spreadAfter,
    islands,
    moves: moves.map(({ no, ...move }) => ({ ...move, shard: no })),
    bytes: sum(moves.map((move) => move.bytes)),
    remaining,
    stays: plan.stays,
    inTheWay: plan.avoided.map((one) => ({ ...one, remedy: REMEDY })),
    concurrency,
    expectedMs,
  };
}

/** Writes a plan to a file. */
export async function writePlan(path: string, plan: RebalancePlan): Promise<void> {
  await writeFile(path, `${JSON.stringify(plan, null, 2)}\n`).catch((cause: unknown) => {
    throw new UsageError(`--out: cannot write ${path}: ${messageOf(cause)}`, { cause });
  });
}

/** Reads a plan from a file. */
export async function readPlan(path: string): Promise<RebalancePlan> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new UsageError(`--plan: cannot read ${path}: ${messageOf(cause)}`, { cause });
  });
  const parsed = PLAN.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [{ path: where, message }] = parsed.error.issues as [z.core.$ZodIssue];
  const place = where.length > 0 ? ` at ${where.join(".")}` : "";
  throw new UsageError(
    `--plan: ${path} is not a plan of this version of Shardferry${place}: ${message}. ` +
      "Make a new one with `shardferry rebalance --out=FILE`.",
  );
}

/** Undefined for what is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Identifies a plan by its moves. */
export const digestOf = ({ createdAt, moves }: RebalancePlan): string =>
  digest(JSON.stringify([createdAt, moves]), 12);

/** The layout is no longer the one for which a plan was made. */
class OutdatedPlanError extends ShardferryError {
  constructor(changes: readonly string[]) {
    const more = changes.length > SHOWN ? [`and ${changes.length - SHOWN} more`] : [];
    super(
      "plan_outdated",
      `Nothing was started: the layout has changed since the plan was made: ${[...changes.slice(0, SHOWN), ...more].join("; ")}. ` +
        "Make a new plan with `shardferry rebalance --out=FILE`.",
    );
  }
}

/** How many changes of the layout are named. */
const SHOWN = 10;

/**
 * Returns a plan as it was made. Refuses it if it relied on something that has changed: the islands, where each shard is,
 * what is in the way of a move, and the limit on bytes. Shards may have grown, which is the usual case.
 */
export function planAsMade(
  made: RebalancePlan,
  layout: readonly IslandLayout[],
  inTheWay: readonly Obstacle[],
): Plan<ShardInfo> {
  const changes = [...changedPlaces(made, layout), ...newObstacles(made, inTheWay)];
  if (changes.length > 0) throw new OutdatedPlanError(changes);
  const shards = new Map(layout.flatMap((one) => one.shards.map((shard) => [shard.schema, shard])));
  const before = made.islands.map(({ island }) => ({
    island,
    shards: layout.find((one) => one.island === island)!.shards.slice(),
  }));
  const target = new Map(made.moves.map(({ schema, to }) => [schema, to]));
  const moves = made.moves.map(({ shard: no, ...move }) => ({
    ...move,
    no,
    bytes: shards.get(move.schema)!.bytes,
  }));
  const moved = sum(moves.map((move) => move.bytes));
  const { maxBytes } = made.basis;
  if (maxBytes !== null && moved > maxBytes)
    throw new OutdatedPlanError([
      `the shards to move have grown to ${bytes(moved)}, more than the ${bytes(maxBytes)} of --max-bytes`,
    ]);
  return {
    moves,
    before,
    after: before.map(({ island, shards: here }) => ({
      island,
      shards: [
        ...here.filter(({ no, schema }) => no === 0 || !target.has(schema)),
        ...made.moves.filter(({ to }) => to === island).map(({ schema }) => shards.get(schema)!),
      ],
    })),
    roles: made.islands.map(({ role }) => role),
    bytes: moved,
    spreadBefore: made.spreadBefore,
    spreadAfter: made.spreadAfter,
    stays: made.stays,
    avoided: made.inTheWay.map(({ schema, island }) => ({ schema, island })),
  };
}

function changedPlaces({ islands }: RebalancePlan, layout: readonly IslandLayout[]): string[] {
  const [was, is] = [
    placesOf(islands.map(({ island, before }) => ({ island, schemas: before.shards }))),
    placesOf(layout.map(({ island, shards }) => ({ island, schemas: shards.map(({ schema }) => schema) }))),
  ];
  const names = new Set([...islands.map(({ island }) => island), ...layout.map(({ island }) => island)]);
  const there = (island: string, list: readonly { island: string }[]): boolean =>
    list.some((one) => one.island === island);
  return [
    ...[...names].flatMap((island) => [
      ...(there(island, layout) ? [] : [`${island} is not among the databases (--dsns)`]),
      ...(there(island, islands) ? [] : [`${island} was not among the databases`]),
    ]),
    ...[...new Set([...was.keys(), ...is.keys()])].flatMap((schema) => {
      const [before, now] = [was.get(schema) ?? "nowhere", is.get(schema) ?? "nowhere"];
      return before === now ? [] : [`${schema} is active on ${now}, and was on ${before}`];
    }),
  ];
}

/** The islands of each shard, in words; the global shard may have several. */
function placesOf(islands: readonly { island: string; schemas: readonly string[] }[]): Map<string, string> {
  const places = new Map<string, string>();
  for (const { island, schemas } of islands)
    for (const schema of schemas)
      places.set(schema, [places.get(schema), island].filter(Boolean).sort().join(" and "));
  return places;
}

const newObstacles = ({ moves }: RebalancePlan, inTheWay: readonly Obstacle[]): string[] =>
  inTheWay
    .filter(({ schema, island }) => moves.some((move) => move.schema === schema && move.to === island))
    .map(({ schema, island }) => `an inactive schema ${schema} is in the way on ${island} (${REMEDY})`);

const sum = (values: readonly number[]): number =>
  Number(values.reduce((total, value) => total + value, 0).toPrecision(15));
