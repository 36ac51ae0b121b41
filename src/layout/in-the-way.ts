import { moveWorkflowId } from "../../contract/names.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { runOfMark } from "../postgres/replication/names.ts";
import type { Obstacle } from "../rebalance/types.ts";
import type { Layout } from "./read.ts";

/** Finds the inactive schemas that would make the move of a shard to their island fail, as its preflight does. */
export async function readInTheWay(islands: readonly ConnectedIsland[], layout: Layout): Promise<Obstacle[]> {
  const found = await Promise.all(
    islands.map(async ({ name, client }) => {
      const elsewhere = layout.islands.flatMap(({ island, shards }) =>
        island === name ? [] : shards.filter(({ no }) => no !== 0).map(({ schema }) => schema),
      );
      const { rows } = await client.query<{ schema: string; comment: string | null }>(
        `SELECT nspname::text AS schema, obj_description(oid, 'pg_namespace') AS comment
         FROM pg_namespace WHERE nspname = ANY ($1) ORDER BY nspname`,
        [elsewhere],
      );
      // What an earlier run of the same move has left there, the move drops by itself.
      return rows
        .filter(({ schema, comment }) => runOfMark(comment, moveWorkflowId(schema)) === null)
        .map(({ schema }) => ({ schema, island: name }));
    }),
  );
  return found.flat();
}
