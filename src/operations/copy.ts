import { type CopyInput, type CopyResult } from "../../contract/move.ts";
import { copyWorkflowId, type IslandName, moveWorkflowId } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { type ReplicationRequest, replicationSwitches } from "../config/switches.ts";
import { UsageError } from "../errors.ts";
import { type ConnectedIsland, resolveIsland, withIslands } from "../postgres/islands/discover.ts";
import {
  attachIfSame,
  BusyError,
  differencesOf,
  findLast,
  findRunning,
  type Running,
  start,
  watchRunning,
} from "../watch/start.ts";
import type { Watch } from "../watch/watch.ts";
import { opened, type Opening, type Session } from "../worker/session.ts";
import { dsnsOf } from "./with-islands.ts";

/** The request for a copy. */
export interface CopyRequest extends ReplicationRequest {
  schema: string;
  /** A DSN, or a prefix of an island's name. */
  from: string;
  to: string;
}

/** Starts a copy, or attaches to a running one with the same request, or shows the one that has already done it. */
export async function copy(
  opening: Opening,
  settings: Settings,
  request: CopyRequest,
): Promise<Watch<CopyResult>> {
  const dsns = dsnsOf(settings, request.from, request.to);
  return withIslands(dsns, async (islands) => {
    const from = resolveIsland(request.from, islands, settings.env);
    const to = resolveIsland(request.to, islands, settings.env);
    if (from === to) throw new UsageError(`--from and --to are the same island, ${to.name}.`);
    const session = await opened(opening);
    const input = copyInput(settings, request, from.name, to.name);
    const { schema } = input;
    const workflowId = copyWorkflowId(schema, to.name);
    const [last, moving] = await Promise.all([
      findLast(session.temporal, workflowId),
      findRunning(session.temporal, moveWorkflowId(schema)),
    ]);
    if (moving) throw new BusyError(moving, [`it moves ${schema}`]);
    const begin = (): Promise<Watch<CopyResult>> =>
      start<CopyResult>(
        session.temporal,
        "copy",
        workflowId,
        { ...input, startedBy: settings.startedBy },
        input,
      );
    const watch = await beginOrAttach(session, from, to, last, input, begin);
    session.work(dsns);
    return watch;
  });
}

/** Returns the input of the workflow of a copy. */
export const copyInput = (
  settings: Settings,
  request: CopyRequest,
  from: IslandName,
  to: IslandName,
): CopyInput => ({ schema: request.schema, from, to, ...replicationSwitches(settings, request) });

async function beginOrAttach(
  { temporal }: Session,
  from: ConnectedIsland,
  to: ConnectedIsland,
  last: Running | null,
  input: CopyInput,
  begin: () => Promise<Watch<CopyResult>>,
): Promise<Watch<CopyResult>> {
  if (last?.endedAt === null) return attachIfSame<CopyResult>(temporal, last, input);
  // A user who lost the terminal runs the command again, and the copy may have ended by then.
  const same = last?.completed && differencesOf(last, input).length === 0;
  if (same && (await schemasOf(to)).includes(input.schema)) return watchRunning<CopyResult>(temporal, last);
  await requireSchema(from, input.schema);
  return begin();
}

async function schemasOf({ client }: ConnectedIsland): Promise<string[]> {
  const { rows } = await client.query<{ schemas: string[] }>(
    `SELECT array_agg(nspname::text ORDER BY nspname) AS schemas FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'`,
  );
  return rows[0]?.schemas ?? [];
}

async function requireSchema(island: ConnectedIsland, schema: string): Promise<void> {
  const schemas = await schemasOf(island);
  if (schemas.includes(schema)) return;
  const shown = schemas.slice(0, 20).join(", ") + (schemas.length > 20 ? ", …" : "");
  throw new UsageError(
    `There is no schema "${schema}" on ${island.name}. The schemas there are: ${shown || "none"}.`,
  );
}
