/** Short steps and workflow tasks. */
export const TASK_QUEUE = "shardferry";

/** Steps that wait for hours (tablesync, lag), so that they never take a slot from a switch. */
export const WAIT_QUEUE = "shardferry-wait";

/** `host[:port]/db`: names an island everywhere; never contains credentials. */
export type IslandName = string;

/** The ids of workflows. Each is also the lock against a second one of its kind. */
export const moveWorkflowId = (schema: string): string => `move-${schema}`;

export const copyWorkflowId = (schema: string, to: IslandName): string => `copy-${schema}-to-${to}`;

export const migrateWorkflowId = (name: string): string => `migrate-${name}`;

export const verifyWorkflowId = (schema: string): string => `verify-${schema}`;

/** Memo key of a workflow's input, by which a second start can tell "same" from "different". */
export const REQUEST_MEMO = "request";

/** Memo key of how an abort has left things, in words. */
export const ABORTED_MEMO = "aborted";

export const REBALANCE_WORKFLOW_ID = "rebalance";
