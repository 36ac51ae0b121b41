import type { ClientBase } from "pg";

import type { ShardNumbers } from "../../contract/migrate.ts";
import { type IslandName, moveWorkflowId } from "../../contract/names.ts";
import { isWayBackId } from "../../contract/way-back.ts";
import { UsageError } from "../errors.ts";
import { isCurrent } from "../postgres/api/install.ts";
import { type Lease, readLeases } from "../postgres/api/leases.ts";
import { activeShardsSql } from "../postgres/api/shards.ts";
import { requireSqlApi } from "../postgres/api/sql-api.ts";
import { MARK_PREFIX } from "../postgres/replication/names.ts";
import { SERVER } from "../postgres/server.ts";
import { gidsOfWorkflow } from "./names.ts";

/** A schema with the number of a shard. */
interface FoundShard {
  schema: string;
  no: number;
  active: boolean;
}

/** What a migration has to know about an island. */
export interface IslandFacts {
  island: IslandName;
  /** Schema of the SQL API. */
  apiSchema: string;
  current: boolean;
  shards: FoundShard[];
  /** The leases of moves and copies of its shards. */
  replicated: Lease[];
  /** The same for all databases of one server. */
  server: string;
  maxPrepared: number;
  /** Prepared transactions in the whole server, except those of the migration itself. */
  prepared: number;
  /** The total number of locks for which the server has room. */
  lockRoom: number;
}

/** Looks at one island for a migration, which is identified by its workflow; touches nothing. */
export async function lookAtIsland(
  client: ClientBase,
  island: IslandName,
  workflowId: string,
): Promise<IslandFacts> {
  const api = await requireSqlApi(client, island);
  const current = await isCurrent(client, api.schema);
  const { rows } = await client.query<{ schema: string; active: boolean }>(
    `SELECT n.nspname AS schema, shard.oid IS NOT NULL AS active
     FROM pg_namespace n LEFT JOIN (${activeShardsSql(api)}) shard ON shard.oid = n.oid
     WHERE n.nspname !~ '^pg_' AND NOT starts_with(coalesce(obj_description(n.oid, 'pg_namespace'), ''), $1)
     ORDER BY n.nspname`,
    [MARK_PREFIX],
  );
  const shards = rows.flatMap(({ schema, active }) => {
    const no = api.shardNumber(schema);
    return no === null ? [] : [{ schema, no, active }];
  });
  const replicated = current ? await readLeases(client, api.schema, "replication") : [];
  const server = await readPreparedLimits(client, workflowId);
  return { island, apiSchema: api.schema, current, shards, replicated, ...server };
}

async function readPreparedLimits(
  client: ClientBase,
  workflowId: string,
): Promise<Pick<IslandFacts, "server" | "maxPrepared" | "prepared" | "lockRoom">> {
  const { rows } = await client.query<{
    server: string;
    maxPrepared: number;
    prepared: number;
    lockRoom: number;
  }>(
    `SELECT ${SERVER} AS server,
       current_setting('max_prepared_transactions')::int AS "maxPrepared",
       (SELECT count(*) FROM pg_prepared_xacts WHERE NOT starts_with(gid, $1))::int AS prepared,
       current_setting('max_locks_per_transaction')::int * (current_setting('max_connections')::int
         + current_setting('max_prepared_transactions')::int) AS "lockRoom"`,
    [gidsOfWorkflow(workflowId)],
  );
  return rows[0]!;
}

/** The chosen schemas of each island, and the moves that have to end before the choice is certain. */
export interface Choice {
  islands: { island: IslandName; schemas: string[] }[];
  moving: (Lease & { island: IslandName })[];
}

/** The prefix of the ids of moves; in a rollback, its ways hold the leases. Copies do not count: a copy's schema need not be a shard, and stays where it is. */
const MOVES = moveWorkflowId("");

/**
 * Chooses the shards: all active ones, or those with given numbers, active or not, since new ones are not active yet. A
 * shard in the middle of its switch is active nowhere, and must not be skipped: its move's lease shows that it exists.
 */
export function chooseShards(facts: readonly IslandFacts[], numbers: ShardNumbers): Choice {
  const active = new Set(
    facts.flatMap(({ shards }) => shards.filter((shard) => shard.active).map(({ schema }) => schema)),
  );
  const wanted = (no: number): boolean =>
    numbers === null || numbers.some(([first, last]) => first <= no && no <= last);
  const moving = facts.flatMap(({ island, replicated, shards }) =>
    replicated
      .filter(
        ({ schema, workflowId }) =>
          (workflowId.startsWith(MOVES) || isWayBackId(workflowId)) &&
          !active.has(schema) &&
          !shards.some((s) => s.schema === schema && !wanted(s.no)),
      )
      .map((lease) => ({ island, ...lease })),
  );
  const chosen = facts.map(({ island, shards }) => ({
    island,
    schemas: shards
      .filter(
        ({ no, schema, active: here }) => wanted(no) && (here || (numbers !== null && !active.has(schema))),
      )
      .map(({ schema }) => schema),
  }));
  if (moving.length === 0) refuseUnclear(facts, numbers, chosen);
  return { islands: chosen.filter(({ schemas }) => schemas.length > 0), moving };
}

/** Refuses shards that are on no island, or on several. */
function refuseUnclear(
  facts: readonly IslandFacts[],
  numbers: ShardNumbers,
  chosen: Choice["islands"],
): void {
  const places = new Map<string, IslandName[]>();
  for (const { island, schemas } of chosen)
    for (const schema of schemas) places.set(schema, [...(places.get(schema) ?? []), island]);
  const several = [...places].filter(([, islands]) => islands.length > 1);
  if (several.length > 0) {
    const shown = several.slice(0, 10).map(([schema, islands]) => `${schema} (${islands.join(", ")})`);
    throw new UsageError(
      `Shards are on several islands, and none or more than one is active: ${shown.join("; ")}.`,
    );
  }
  const found = new Set(facts.flatMap(({ shards }) => shards.map(({ no }) => no)));
  const missing = (numbers ?? []).filter(([first, last]) => !someBetween(found, first, last));
  if (missing.length === 0) return;
  const all = [...found].sort((a, b) => a - b);
  const known = all.slice(0, 50).join(", ") + (all.length > 50 ? ", …" : "");
  const shown = missing.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  throw new UsageError(
    `There is no shard ${shown.join(", ")} on any island. The shards are: ${known || "none"}.`,
  );
}

const someBetween = (numbers: ReadonlySet<number>, first: number, last: number): boolean =>
  first === last ? numbers.has(first) : [...numbers].some((no) => first <= no && no <= last);
