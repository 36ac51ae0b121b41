/** What workflows can be told and asked. Apart from the contract: the command line needs that one without the SDK. */
import { defineQuery, defineSignal } from "@temporalio/workflow";

import type { RebalanceProgress } from "../contract/rebalance.ts";
import type { Progress } from "../contract/story.ts";

/** Ends a pause asked for with `wait`. */
export const confirmSignal = defineSignal("confirm");
/** Stops waiting for replication lag and goes on at once. */
export const skipLagSignal = defineSignal("skipLag");
/** Aborts; the same as a cancellation request. */
export const abortSignal = defineSignal("abort");
export const progressQuery = defineQuery<Progress>("progress");

/** Starts no more moves until `confirm`; those that run go on. */
export const pauseSignal = defineSignal("pause");
export const rebalanceProgressQuery = defineQuery<RebalanceProgress>("progress");
