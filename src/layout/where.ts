import type { IslandName } from "../../contract/names.ts";
import { ShardferryError, UsageError } from "../errors.ts";
import { readActiveShards } from "../postgres/api/active-shards.ts";
import { activeShardsSql, schemaNameSql } from "../postgres/api/shards.ts";
import { findSqlApi, NotInstalledError } from "../postgres/api/sql-api.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";

/** Where one shard is. */
export interface Places {
  readonly schema: string;
  /** Islands on which it is active: one, or none. */
  readonly active: readonly ConnectedIsland[];
  /** Islands that have a schema of that name, active or not. */
  readonly present: readonly IslandName[];
}

/** Finds out on all islands at once where a shard is. */
export async function findShard(islands: readonly ConnectedIsland[], shard: number): Promise<Places> {
  const found = await Promise.all(
    islands.map(async (island) => {
      const api = await findSqlApi(island.client);
      if (!api) return null;
      const { rows } = await island.client.query<{ schema: string; active: boolean; present: boolean }>(
        `WITH name AS MATERIALIZED (SELECT ${schemaNameSql(api.schema, "$1::int")} AS schema)
         SELECT schema,
           EXISTS (SELECT FROM (${activeShardsSql(api)}) shard WHERE shard.nspname = schema) AS active,
           EXISTS (SELECT FROM pg_namespace WHERE nspname = schema) AS present
         FROM name`,
        [shard],
      );
      return { island, ...rows[0]! };
    }),
  );
  const known = found.filter((one) => one !== null);
  const schemas = new Set(known.map(({ schema }) => schema));
  if (schemas.size !== 1)
    throw schemas.size === 0
      ? new NotInstalledError(islands.map(({ name }) => name))
      : differentFormats(known, shard);
  return {
    schema: [...schemas][0]!,
    active: known.filter(({ active }) => active).map(({ island }) => island),
    present: known.filter(({ present }) => present).map(({ island }) => island.name),
  };
}

/**
 * Refuses numbers of shards that were not found.
 *
 * @param lack what they are not found for.
 */
export async function requireActive(
  islands: readonly ConnectedIsland[],
  found: readonly { no: number }[],
  wanted: Iterable<number>,
  lack = "on any island",
): Promise<void> {
  const numbers = new Set(found.map(({ no }) => no));
  const missing = [...wanted].filter((no) => !numbers.has(no));
  if (missing.length === 0) return;
  const active = await activeNumbers(islands);
  throw new UsageError(`No active shard ${missing.join(", ")} ${lack}. The active shards are: ${active}.`);
}

/** The numbers of all active shards, as ranges: `0-4, 7`. */
export async function activeNumbers(islands: readonly ConnectedIsland[]): Promise<string> {
  const found = await Promise.all(islands.map(({ client }) => readActiveShards(client)));
  const numbers = found.flat().map(({ no }) => no);
  const ranges: [first: number, last: number][] = [];
  for (const number of numbers.sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && number <= last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  const shown = ranges
    .slice(0, 20)
    .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  return shown.join(", ") + (ranges.length > shown.length ? ", …" : "") || "none";
}

function differentFormats(
  known: readonly { island: ConnectedIsland; schema: string }[],
  shard: number,
): ShardferryError {
  const names = known.map(({ island, schema }) => `${schema} on ${island.name}`).join(", ");
  const text = `Shard ${shard} has different names (${names}): run \`shardferry install --schema-name-fmt=…\` with one format for all.`;
  return new ShardferryError("schema_formats_differ", text);
}
