import type { RebalanceProgress } from "../../contract/rebalance.ts";
import type { Temporal } from "../temporal/connection.ts";
import { type Snapshot, takeSnapshot } from "./snapshot.ts";

/** How many moves of a rebalance are looked at individually; a screen has no room for more. */
const MAX_LOOKS = 50;

/** Returns the progress of a rebalance from a snapshot of it; null while no worker answers. */
export const rebalanceProgress = ({ type, progress }: Snapshot): RebalanceProgress | null =>
  type === "rebalance" ? (progress as RebalanceProgress | null) : null;

/** Takes snapshots of the running moves of a rebalance, given the `last` ones; a move that ends meanwhile is left out. */
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

/** Takes a snapshot of one move, running or ended; returns null if that fails. */
export async function lookAt(
  temporal: Temporal,
  workflowId: string,
  last: Snapshot | null = null,
): Promise<Snapshot | null> {
  return takeSnapshot(temporal, temporal.client.workflow.getHandle(workflowId), last).catch(() => null);
}
