import type { ClientBase } from "pg";

import { readStanding, type Standing } from "../../../src/postgres/replication/lag.ts";
import { flushedPosition } from "../../../src/postgres/replication/position.ts";
import type { MoveStep } from "./step.ts";

/** True if any physical replica of either island has not replayed everything; measuring how late it is takes a second look. */
export async function replicasBehind(step: MoveStep): Promise<boolean> {
  const both = await standings(step);
  return both.some(({ position, replicas }) => replicas.some(({ reached }) => reached < position));
}

export const standings = (step: MoveStep): Promise<[Standing, Standing]> =>
  Promise.all([step.onSource(readStanding), step.onDestination(readStanding)]);

/**
 * The same, once everything so far is flushed. Without it, the flushed position may be in the middle of a record of a
 * transaction that is still open, and on an idle server no follower ever reaches it.
 */
export const flushedStandings = (step: MoveStep): Promise<[Standing, Standing]> =>
  Promise.all([step.onSource(flushedStanding), step.onDestination(flushedStanding)]);

async function flushedStanding(client: ClientBase): Promise<Standing> {
  await flushedPosition(client);
  return readStanding(client);
}
