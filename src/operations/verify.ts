import { verifyWorkflowId } from "../../contract/names.ts";
import type { VerifyInput, VerifyResult } from "../../contract/verify.ts";
import type { Settings } from "../config/settings.ts";
import { ShardferryError, UsageError } from "../errors.ts";
import { withApi } from "../layout/islands-with-api.ts";
import { type OpenWayBack, readWaysBack } from "../layout/ways-back.ts";
import { findShard } from "../layout/where.ts";
import { type ConnectedIsland, resolveIsland, withIslands } from "../postgres/islands/discover.ts";
import { copyBase, readCopyName } from "../postgres/schema/copy-names.ts";
import { readSchema } from "../postgres/schema/tables.ts";
import { attachIfSame, findRunning, start } from "../watch/start.ts";
import type { Watch } from "../watch/watch.ts";
import { opened, type Opening } from "../worker/session.ts";
import { dsnsOf } from "./with-islands.ts";

/** The request for a verification: a shard, whose only copy is found, or a schema and where it and its copy are. */
export interface VerifyRequest {
  shard?: number | undefined;
  schema?: string | undefined;
  /** A DSN, or a prefix of an island's name. */
  from?: string | undefined;
  to?: string | undefined;
  /** The name of the copy, if it differs. */
  toSchema?: string | undefined;
}

/** A schema on an island. */
interface Place {
  island: ConnectedIsland;
  schema: string;
}

/** Starts the comparison of a schema with a copy of it, or attaches to the running one. */
export async function verify(
  opening: Opening,
  settings: Settings,
  request: VerifyRequest,
): Promise<Watch<VerifyResult>> {
  const dsns = dsnsOf(settings, request.from, request.to);
  return withIslands(dsns, async (islands) => {
    const [source, copy] = await placesOf(islands, request, settings);
    if (source.island === copy.island && source.schema === copy.schema)
      throw new UsageError(
        `That compares "${copy.schema}" on ${copy.island.name} with itself: give --to or --to-schema.`,
      );
    const input: VerifyInput = {
      schema: source.schema,
      from: source.island.name,
      toSchema: copy.schema,
      to: copy.island.name,
      maxReplicationLagSec: settings.maxReplicationLagSec,
    };
    const session = await opened(opening);
    const { temporal } = session;
    const workflowId = verifyWorkflowId(source.schema);
    const running = await findRunning(temporal, workflowId);
    session.work(dsns);
    return running
      ? attachIfSame<VerifyResult>(temporal, running, input)
      : start<VerifyResult>(
          temporal,
          "verify",
          workflowId,
          { ...input, startedBy: settings.startedBy },
          input,
        );
  });
}

async function placesOf(
  islands: readonly ConnectedIsland[],
  { shard, schema, from, to, toSchema }: VerifyRequest,
  { env }: Settings,
): Promise<[Place, Place]> {
  const on = (island: string): ConnectedIsland => resolveIsland(island, islands, env);
  if (shard === undefined) {
    if (schema === undefined || from === undefined || to === undefined)
      throw new UsageError("Give --shard, or --schema with --from and --to.");
    const places: [Place, Place] = [
      { island: on(from), schema },
      { island: on(to), schema: toSchema ?? schema },
    ];
    for (const place of places) await requirePresent(place);
    return places;
  }
  if (schema !== undefined) throw new UsageError("Give either --shard or --schema.");
  const found = await findShard(islands, shard);
  const source = from === undefined ? found.active[0] : on(from);
  if (!source) throw new UsageError(`Shard ${shard} (${found.schema}) is active on no island: give --from.`);
  if (to === undefined && toSchema === undefined) {
    const copy = await copyInStep(islands, source, found.schema);
    if (copy)
      return [
        { island: source, schema: found.schema },
        { island: copy, schema: found.schema },
      ];
  }
  const copies = await copiesOf(islands, { island: source, schema: found.schema });
  const fitting = copies.filter(
    ({ island, schema: name }) =>
      (to === undefined || island === on(to)) && (toSchema === undefined || name === toSchema),
  );
  if (fitting.length === 1) return [{ island: source, schema: found.schema }, fitting[0]!];
  const list = copies.map(({ island, schema: name }) => `${name} on ${island.name}`).join(", ") || "none";
  throw new UsageError(
    `Shard ${shard} is to be compared with one copy; ${fitting.length === 0 ? "none fits" : `${fitting.length} fit`}. ` +
      `The copies of ${found.schema} are: ${list}. Name one by --to and --to-schema.`,
  );
}

/** The old copy that an open way back of a shard keeps in step is not there yet. */
class WayBackNotOpenError extends ShardferryError {
  constructor(schema: string, { workflowId, to }: OpenWayBack) {
    super(
      "way_back_not_open",
      `The way back of ${schema} to ${to} is not open yet (or ${to} is not among --dsns), so there is no copy in step: ` +
        `\`shardferry status ${workflowId}\` shows when it is open. Or name another copy by --to and --to-schema.`,
    );
  }
}

/** Where the old copy of a shard with an open way back is; null if there is no way back. */
async function copyInStep(
  islands: readonly ConnectedIsland[],
  source: ConnectedIsland,
  schema: string,
): Promise<ConnectedIsland | null> {
  const ways = await readWaysBack(
    await withApi(islands),
    islands.map((island) => (island === source ? [schema] : [])),
  );
  const way = ways[islands.indexOf(source)]!.open.get(schema);
  if (!way) return null;
  const copy = islands.find((_, i) =>
    ways[i]!.oldCopies.some(
      ({ schema: name, workflowId, open }) => open && name === schema && workflowId === way.workflowId,
    ),
  );
  if (!copy) throw new WayBackNotOpenError(schema, way);
  return copy;
}

async function requirePresent({ island, schema }: Place): Promise<void> {
  if (!(await readSchema(island.client, schema)).exists)
    throw new UsageError(`There is no schema "${schema}" on ${island.name}.`);
}

/** Everything that could be a copy of a schema: of the same name on other islands, old copies and rehearsals on all of them. */
async function copiesOf(islands: readonly ConnectedIsland[], source: Place): Promise<Place[]> {
  const base = copyBase(source.schema);
  const found = await Promise.all(
    islands.map(async (island) => {
      const { rows } = await island.client.query<{ name: string }>(
        "SELECT nspname AS name FROM pg_namespace WHERE nspname = $1 OR starts_with(nspname, $2) ORDER BY 1",
        [source.schema, base],
      );
      return rows
        .filter(({ name }) => name === source.schema || readCopyName(name)?.base === base)
        .map(({ name }) => ({ island, schema: name }));
    }),
  );
  return found.flat().filter(({ island, schema }) => island !== source.island || schema !== source.schema);
}
