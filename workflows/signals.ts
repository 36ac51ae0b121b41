/** The signals and queries of the workflows. Not part of the contract, because the command line needs that without the SDK. */
import { defineQuery, defineSignal } from "@temporalio/workflow";

import type { Noticed } from "../contract/progress.ts";
import type { MoveNoticed, RebalanceProgress } from "../contract/rebalance.ts";
import type { Progress } from "../contract/story.ts";
import type { Arrived, FinishRequest, OpenWay, WorkflowRun } from "../contract/way-back.ts";

/** Ends a pause requested with `wait`. */
export const confirmSignal = defineSignal("confirm");
/** Stops waiting for replication lag and continues at once. */
export const skipLagSignal = defineSignal("skipLag");
/** Aborts, like a cancellation request. */
export const abortSignal = defineSignal("abort");
/** A running step reports its progress from time to time: the workflow cannot see heartbeats. */
export const noticedSignal = defineSignal<[Noticed]>("noticed");
export const progressQuery = defineQuery<Progress>("progress");

/** Starts no more moves until `confirm`; the running ones continue. */
export const pauseSignal = defineSignal("pause");
/** A running move reports its progress to its rebalance. */
export const moveNoticedSignal = defineSignal<[MoveNoticed]>("moveNoticed");
export const rebalanceProgressQuery = defineQuery<RebalanceProgress>("progress");

/** A way back tells the move or rollback that has started it that the switch may come. */
export const wayBackPreparedSignal = defineSignal("wayBackPrepared");
/** The shard has arrived: the way back can be opened. */
export const arrivedSignal = defineSignal<[Arrived]>("arrived");
/** Ends a way back. Without a request, it waits for islands that are away. */
export const finishSignal = defineSignal<[FinishRequest?]>("finish");
/** A rollback asks for the way; it is not closed until the rollback has ended. */
export const rollbackBeginsSignal = defineSignal<[WorkflowRun]>("rollbackBegins");
/** The answer: the way is open. */
export const wayIsOpenSignal = defineSignal<[OpenWay]>("wayIsOpen");
/** The answer: the way has ended, for this reason. It ends a rollback that has not switched yet. */
export const wayHasEndedSignal = defineSignal<[string]>("wayHasEnded");
/** A rollback has ended; true if the shard has gone back. */
export const rollbackEndsSignal = defineSignal<[boolean]>("rollbackEnds");

const DESCRIPTIONS = {
  progress: "Step, percent, what it waits for, and the last events",
  confirm: "Goes on: switches a shard that --wait has paused, ends a copy, or resumes a paused rebalance",
  skipLag: "Stops waiting for replication lag, and waits for it no more",
  abort: "Undoes what has been done, like a cancellation; has no effect after the switch",
  noticed: "Sent by the steps themselves: what they have seen",
  moveNoticed: "Sent by the moves of a rebalance: how far they are",
  pause: "Starts no more moves until it is confirmed; the running ones continue",
  wayBackPrepared: "Sent by the way back: the switch may come",
  arrived: "Sent by the move: the shard has arrived, and the way back can be opened",
  finish: "Closes the way back: the old copy stays as after an ordinary move",
  rollbackBegins: "Sent by a rollback that wants to go this way",
  wayIsOpen: "Sent by the way back: the rollback can go",
  wayHasEnded: "Sent by the way back: the rollback cannot go, or not any longer",
  rollbackEnds: "Sent by a rollback that has ended",
};

/** What Temporal's page says about a signal or query. */
export const described = (name: keyof typeof DESCRIPTIONS): { description: string } => ({
  description: DESCRIPTIONS[name],
});
