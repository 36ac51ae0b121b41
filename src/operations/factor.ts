import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import type { FactorChange } from "../config/values.ts";
import { ShardferryError, UsageError } from "../errors.ts";
import { requireActive } from "../layout/where.ts";
import { activeShardsSql, knownFactorSql, setFactorSql } from "../postgres/api/shards.ts";
import { findSqlApi, type SqlApi } from "../postgres/api/sql-api.ts";
import { type ConnectedIsland, resolveIsland } from "../postgres/islands/discover.ts";
import { onIslands } from "./with-islands.ts";

/** Which shards: by number, or all shards of the island that a DSN or prefix names. */
export type ShardSelection = { readonly numbers: readonly number[] } | { readonly island: string };

export interface FactorResult {
  island: IslandName;
  no: number;
  schema: string;
  before: number;
  factor: number;
}

interface Target {
  island: ConnectedIsland;
  api: SqlApi;
  shards: { no: number; schema: string; before: string; after: string; positive: boolean }[];
}

/** Sets or changes the weight factors of shards; writes nothing unless all new factors are valid. */
export async function factor(
  settings: Settings,
  selection: ShardSelection,
  change: FactorChange,
): Promise<FactorResult[]> {
  return onIslands(settings, async (islands) => {
    const chosen = "island" in selection ? [resolveIsland(selection.island, islands, settings.env)] : islands;
    const numbers = "numbers" in selection ? new Set(selection.numbers) : null;
    const targets = (await Promise.all(chosen.map((island) => findTargets(island, numbers, change)))).filter(
      (target) => target !== null,
    );
    const shards = targets.flatMap((target) => target.shards);
    await requireActive(islands, shards, numbers ?? []);
    if (shards.length === 0)
      throw new UsageError(`There are no active shards on ${chosen.map(({ name }) => name).join(", ")}.`);
    const bad = shards.filter(({ positive }) => !positive).map(({ schema, after }) => `${schema}: ${after}`);
    if (bad.length > 0)
      throw new ShardferryError("factor", `A factor must be more than 0; it would be ${bad.join(", ")}.`);
    await Promise.all(targets.map(write));
    return targets.flatMap(({ island, shards: done }) =>
      done.map(({ no, schema, before, after }) => ({
        island: island.name,
        no,
        schema,
        before: Number(before),
        factor: Number(after),
      })),
    );
  });
}

const EXPRESSIONS: Record<FactorChange["operator"], string> = {
  "=": "$1::numeric",
  "+": "before + $1::numeric",
  "-": "before - $1::numeric",
  "*": "before * $1::numeric",
};

async function findTargets(
  island: ConnectedIsland,
  numbers: ReadonlySet<number> | null,
  { operator, operand }: FactorChange,
): Promise<Target | null> {
  const api = await findSqlApi(island.client);
  if (!api) return null;
  if (!api.hasFactors) {
    throw new ShardferryError(
      "not_installed",
      `The SQL API on ${island.name} does not support factors: run \`shardferry install\`.`,
    );
  }
  const { rows } = await island.client.query<Omit<Target["shards"][number], "no">>(
    `SELECT schema, before::text, after::text, after > 0 AS positive
     FROM (
       SELECT schema, before, trim_scale(round(${EXPRESSIONS[operator]}, 6)) AS after
       FROM (
         SELECT nspname::text AS schema, ${knownFactorSql(api.schema, "nspname::text")} AS before
         FROM (${activeShardsSql(api)}) shard
       ) current
     ) changed
     ORDER BY schema`,
    [operand],
  );
  const shards = rows.flatMap((row) => {
    const no = api.shardNumber(row.schema);
    return no !== null && (numbers === null || numbers.has(no)) ? [{ no, ...row }] : [];
  });
  return { island, api, shards };
}

async function write({ island, api, shards }: Target): Promise<void> {
  await island.client.query(
    `SELECT ${setFactorSql(api.schema, "schema", "factor")}
     FROM unnest($1::text[], $2::numeric[]) AS wanted(schema, factor)`,
    [shards.map(({ schema }) => schema), shards.map(({ after }) => after)],
  );
}
