import { type MoveInput, type MoveResult } from "../../contract/move.ts";
import { type IslandName, moveWorkflowId } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { moveSwitches, type MoveSwitchesRequest } from "../config/switches.ts";
import { ShardferryError, UsageError } from "../errors.ts";
import { activeNumbers, findShard, type Places } from "../layout/where.ts";
import { type ConnectedIsland, resolveIsland, withIslands } from "../postgres/islands/discover.ts";
import { attachIfSame, differencesOf, findLast, type Running, start, watchRunning } from "../watch/start.ts";
import type { Watch } from "../watch/watch.ts";
import { opened, type Opening } from "../worker/session.ts";
import { dsnsOf } from "./with-islands.ts";

/** The request for a move; a missing option has the default of the command line. */
export interface MoveRequest extends MoveSwitchesRequest {
  shard: number;
  /** A DSN, or a prefix of an island's name. */
  to: string;
  /** By default the island on which the shard is active. */
  from?: string | undefined;
  activateOnDestination: boolean;
  /** With `activateOnDestination: false`: also takes the locks of the switch, measures, and lets go. */
  rehearseSwitch?: boolean | undefined;
}

/**
 * Starts a move, or attaches to a running one with the same request, or shows the one that has already done it. Throws
 * before starting if anything is wrong.
 */
export async function move(
  opening: Opening,
  settings: Settings,
  request: MoveRequest,
): Promise<Watch<MoveResult>> {
  if (request.rehearseSwitch && request.activateOnDestination)
    throw new UsageError(
      "--rehearse-switch works only with --activate-on-destination=no: with yes, the move would switch.",
    );
  const dsns = dsnsOf(settings, request.from, request.to);
  return withIslands(dsns, async (islands) => {
    const to = resolveIsland(request.to, islands, settings.env);
    const given = request.from === undefined ? null : resolveIsland(request.from, islands, settings.env);
    const places = await findShard(islands, request.shard);
    const session = await opened(opening);
    const { temporal } = session;
    const workflowId = moveWorkflowId(places.schema);

    const last = await findLast(temporal, workflowId);
    if (last?.endedAt === null) {
      // In the middle of its switch, a shard may be active nowhere, or already on the destination.
      const from = given?.name ?? fromOf(last);
      const watch = attachIfSame<MoveResult>(
        temporal,
        last,
        moveInput(settings, request, places.schema, from, to.name),
      );
      session.work(dsns);
      return watch;
    }
    // A user who lost the terminal runs the command again, and the move may have ended by then.
    const done = last?.completed && places.active.length === 1 && places.active[0]!.name === to.name;
    const asked = done && moveInput(settings, request, places.schema, given?.name ?? fromOf(last), to.name);
    if (asked && differencesOf(last, asked).length === 0) {
      session.work(dsns);
      return watchRunning<MoveResult>(temporal, last);
    }
    const from = await sourceOf(islands, request.shard, places, given, to);
    session.work(dsns);
    const input = moveInput(settings, request, places.schema, from.name, to.name);
    return start<MoveResult>(
      temporal,
      "move",
      workflowId,
      { ...input, startedBy: settings.startedBy },
      input,
    );
  });
}

const fromOf = ({ request }: Running): IslandName => (request as Partial<MoveInput>).from ?? "";

/** Returns the input of the workflow of a move. */
export function moveInput(
  settings: Settings,
  request: MoveSwitchesRequest & Pick<MoveRequest, "shard" | "rehearseSwitch">,
  schema: string,
  from: IslandName,
  to: IslandName,
): MoveInput {
  const input = { schema, shard: request.shard, from, to, ...moveSwitches(settings, request) };
  return request.rehearseSwitch ? { ...input, rehearseSwitch: true } : input;
}

/** Finds the source of a move, and refuses impossible moves. */
async function sourceOf(
  islands: readonly ConnectedIsland[],
  shard: number,
  { schema, active, present }: Places,
  given: ConnectedIsland | null,
  to: ConnectedIsland,
): Promise<ConnectedIsland> {
  if (given?.name === to.name) throw new UsageError(`--from and --to are the same island, ${to.name}.`);
  const what = `Shard ${shard} (${schema})`;
  const [source, another] = active;
  if (!source) {
    const there = `there are inactive schemas of that name on ${present.join(", ")}`;
    const where = present.length === 0 ? "exists on no island" : `is active on no island; ${there}`;
    throw new UsageError(`${what} ${where}. The active shards are: ${await activeNumbers(islands)}.`);
  }
  const refuse = (why: string): ShardferryError => new ShardferryError("refused", `${what} ${why}.`);
  if (another) throw refuse(`is active on several islands: ${active.map(({ name }) => name).join(", ")}`);
  if (source.name === to.name) throw refuse(`is already active on ${to.name}; there is nothing to move`);
  if (given && given.name !== source.name) throw refuse(`is active on ${source.name}, not on ${given.name}`);
  return source;
}
