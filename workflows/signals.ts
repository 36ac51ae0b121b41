/** The signals and queries of the workflows. Not part of the contract, because the command line needs that without the SDK. */
import { defineQuery, defineSignal } from "@temporalio/workflow";

import type { Noticed } from "../contract/progress.ts";
import type { MoveNoticed, RebalanceProgress } from "../contract/rebalance.ts";
import type { Progress } from "../contract/story.ts";

/** Ends a pause requested with `wait`. */
export const confirmSignal = defineSignal("confirm");
/** Stops waiting for replication lag and continues at once. */
export const skipLagSignal = defineSignal("skipLag");
/** Aborts, like a cancellation request. */
export const abortSignal = defineSignal("abort");
/** A running step tells how far it is, now and then: the workflow cannot see heartbeats. */
export const noticedSignal = defineSignal<[Noticed]>("noticed");
export const progressQuery = defineQuery<Progress>("progress");

/** Starts no more moves until `confirm`; the running ones continue. */
export const pauseSignal = defineSignal("pause");
/** A running move tells its rebalance how far it is. */
export const moveNoticedSignal = defineSignal<[MoveNoticed]>("moveNoticed");
export const rebalanceProgressQuery = defineQuery<RebalanceProgress>("progress");
