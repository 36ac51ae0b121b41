/**
 * The input and output of planning. All of it is plain data, since plans go through Temporal's histories as
 * JSON.
 */
import type { IslandName } from "../../contract/names.ts";

/** One shard as the planner sees it. */
export interface ShardLoad {
  no: number;
  schema: string;
  /** What is evened out: bytes or the result of `--weight-sql`, already multiplied by the shard's factor. */
  weight: number;
  /** The cost of moving it. */
  bytes: number;
}

export interface IslandLoad<Shard extends ShardLoad = ShardLoad> {
  island: IslandName;
  shards: readonly Shard[];
}

export type Layout<Shard extends ShardLoad = ShardLoad> = readonly IslandLoad<Shard>[];

export interface PlanOptions {
  /** Islands that must end up empty. */
  decommission?: readonly IslandName[];
  /** The most bytes that the plan may move; the plan then gives the most even layout within that limit. */
  maxBytes?: number | undefined;
  /**
   * How much less even than the best known layout the plan may be if that saves bytes, as a share of its
   * spread.
   * @default 0.05
   */
  tolerance?: number;
  /** Islands to which some shards cannot be moved, because a schema of their name is there. */
  inTheWay?: readonly Obstacle[];
}

/** An island to which a shard cannot be moved: an inactive schema there has its name. */
export interface Obstacle {
  readonly schema: string;
  readonly island: IslandName;
}

export interface PlannedMove {
  schema: string;
  no: number;
  from: IslandName;
  to: IslandName;
  weight: number;
  bytes: number;
}

/**
 * - `member`: takes part, and stays.
 * - `decommissioned`: gives away its shards.
 * - `global`: holds only the global shard, and takes no part.
 */
export type IslandRole = "member" | "decommissioned" | "global";

export interface Plan<Shard extends ShardLoad = ShardLoad> {
  moves: PlannedMove[];
  before: IslandLoad<Shard>[];
  after: IslandLoad<Shard>[];
  /** The role of each island, in the order of `before` and `after`. */
  roles: IslandRole[];
  /** The total bytes of all moves. */
  bytes: number;
  /** (heaviest − lightest) / mean of the weights of the member islands. */
  spreadBefore: number;
  spreadAfter: number;
  /** Global shards that stay on a decommissioned island, because only an explicit `move` moves them. */
  stays: { schema: string; island: IslandName }[];
  /** Moves that would have been better, but for a schema of that name on their destination. */
  avoided: Obstacle[];
}
