import type { RebalanceProgress } from "../../contract/rebalance.ts";
import type { Temporal } from "../temporal/connection.ts";
import { type Snapshot, takeSnapshot } from "./snapshot.ts";

/** Moves of a rebalance that are looked at one by one; a screen has no room for more. */
const MAX_LOOKS = 50;

/** Reads the progress of a rebalance out of a look at it; null while no worker answers. */
export const rebalanceProgress = ({ type, progress }: Snapshot): RebalanceProgress | null =>
  type === "rebalance" ? (progress as RebalanceProgress | null) : null;

/** Looks at the moves of a rebalance that run, after `last` looks at some; one that ends meanwhile is left out. */
export async function movesOf(
  temporal: Temporal,
  { running }: RebalanceProgress,
  last: readonly Snapshot[] = [],
): Promise<Snapshot[]> {
  const before = new Map(last.map((snapshot) => [snapshot.workflowId, snapshot]));
  const looks = running
    .slice(0, MAX_LOOKS)
    .map(({ workflowId }) => lookAt(temporal, workflowId, before.get(workflowId)));
  return (await Promise.all(looks)).filter((snapshot) => snapshot !== null);
}

/** Looks at one move, running or ended; null when it cannot be seen. */
export async function lookAt(
  temporal: Temporal,
  workflowId: string,
  last: Snapshot | null = null,
): Promise<Snapshot | null> {
  return takeSnapshot(temporal, temporal.client.workflow.getHandle(workflowId), last).catch(() => null);
}
