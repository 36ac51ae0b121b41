import { setTimeout as sleep } from "node:timers/promises";

import type { IslandName } from "../../contract/names.ts";
import type { ReplicaLag } from "../../contract/progress.ts";
import { Islands } from "../postgres/islands/connections.ts";
import type { Dsn } from "../postgres/islands/dsn.ts";
import { LagClock, reachedBySubscription, readStanding, SUBSCRIPTION } from "../postgres/replication/lag.ts";
import { replicationName } from "../postgres/replication/names.ts";

/** The move or copy whose replication to watch; the ids are those of its `Watch`. */
export interface LagRequest {
  workflowId: string;
  runId: string;
  schema: string;
  from: IslandName;
  to: IslandName;
}

/** How far a replica or the subscription is behind. */
export interface ObservedLag extends ReplicaLag {
  /** False until it has passed an observed position: until then, the lag is at least the time since watching began. */
  known: boolean;
}

const LOOK_EVERY_MS = 1000;

/**
 * Reads every second, until `stop`, how far each physical replica of both islands and the subscription between them are
 * behind. If a server cannot be reached, its replicas are left out.
 */
export async function* watchLag(
  dsns: readonly Dsn[],
  { workflowId, runId, schema, from, to }: LagRequest,
  stop: AbortSignal,
): AsyncGenerator<ObservedLag[]> {
  const islands = new Islands(dsns);
  const subscription = replicationName(workflowId, runId, schema);
  const source = new LagClock();
  const replicasOf = async (island: IslandName, clock: LagClock): Promise<ObservedLag[]> => {
    const { position, replicas } = await islands.withClient(island, readStanding);
    clock.note(position);
    return replicas.map(({ name, reached }) => ({ island, replica: name, ...clock.lagOf(reached) }));
  };
  const ofSubscription = async (): Promise<ObservedLag[]> => {
    const reached = await islands.withClient(to, (client) => reachedBySubscription(client, subscription));
    return reached === null ? [] : [{ island: to, replica: SUBSCRIPTION, ...source.lagOf(reached) }];
  };
  const destination = new LagClock();
  try {
    while (!stop.aborted) {
      const looks = await Promise.allSettled([
        replicasOf(from, source),
        replicasOf(to, destination),
        ofSubscription(),
      ]);
      yield looks.flatMap((look) => (look.status === "fulfilled" ? look.value : []));
      await sleep(LOOK_EVERY_MS, undefined, { signal: stop }).catch(() => undefined);
    }
  } finally {
    await islands.close();
  }
}
