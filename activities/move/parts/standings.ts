import { readStanding, type Standing } from "../../../src/postgres/replication/lag.ts";
import type { MoveStep } from "./step.ts";

/** True if any physical replica of either island has not replayed everything; measuring how late it is takes a second look. */
export async function replicasBehind(step: MoveStep): Promise<boolean> {
  const both = await standings(step);
  return both.some(({ position, replicas }) => replicas.some(({ reached }) => reached < position));
}

export const standings = (step: MoveStep): Promise<[Standing, Standing]> =>
  Promise.all([step.onSource(readStanding), step.onDestination(readStanding)]);
