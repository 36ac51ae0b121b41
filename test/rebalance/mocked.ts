import { after, before } from "node:test";

import { Client, Connection, type WorkflowHandle } from "@temporalio/client";

import { type MoveInput, type MoveSwitches } from "../../contract/move.ts";
import { moveWorkflowId, REBALANCE_WORKFLOW_ID, REQUEST_MEMO, TASK_QUEUE } from "../../contract/names.ts";
import { type RebalanceInput } from "../../contract/rebalance.ts";
import { type Progress } from "../../contract/story.ts";
import { moveSwitches } from "../../src/config/switches.ts";
import type { move, rebalance } from "../../workflows/index.ts";
import { progressQuery } from "../../workflows/signals.ts";
import type { Behaviours } from "../faults/mocks.ts";
import { createNamespace, type TestNamespace, waitFor } from "../support/index.ts";

/** The real workflow and a real Temporal; the steps of the moves do nothing here. */
export let place: TestNamespace;
export let client: Client;
let connection: Connection;
before(async () => {
  place = await createNamespace();
  connection = await Connection.connect({ address: place.address });
  client = new Client({ connection, namespace: place.namespace });
});
after(() => connection.close());

export const SWITCHES: MoveSwitches = moveSwitches({}, {});
export const ISLANDS = ["a:5432/app", "b:5432/app", "c:5432/app"];

/** How a step behaves, by the schema. */
export type Steps = Exclude<Behaviours["analyze"], undefined>;

export const schemaOf = (shard: number): string => `sh${String(shard).padStart(4, "0")}`;

export const inputOf = (shards: readonly number[], more: Partial<RebalanceInput> = {}): RebalanceInput => ({
  islands: ISLANDS,
  switches: SWITCHES,
  parallelism: 4,
  perIsland: null,
  rooms: [],
  pending: shards.map((shard) => ({
    schema: schemaOf(shard),
    shard,
    from: 0,
    to: 1 + (shard % 2),
    bytes: shard,
  })),
  maxEvents: null,
  ...more,
});

export const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

export const start = (input: RebalanceInput): Promise<WorkflowHandle<typeof rebalance>> =>
  client.workflow.start<typeof rebalance>("rebalance", {
    workflowId: REBALANCE_WORKFLOW_ID,
    taskQueue: TASK_QUEUE,
    args: [input],
    memo: { [REQUEST_MEMO]: { wait: input.switches.wait } },
  });

export const startMove = (shard: number, to: string): Promise<WorkflowHandle<typeof move>> => {
  const request: MoveInput = { schema: schemaOf(shard), shard, from: ISLANDS[0]!, to, ...SWITCHES };
  return client.workflow.start<typeof move>("move", {
    workflowId: moveWorkflowId(request.schema),
    taskQueue: TASK_QUEUE,
    args: [request],
    memo: { [REQUEST_MEMO]: request },
  });
};

export const stateOf = async (shard: number): Promise<string> =>
  (await client.workflow.getHandle(moveWorkflowId(schemaOf(shard))).describe()).status.name;

export const phaseOf = async (shard: number): Promise<string | null> =>
  (await client.workflow.getHandle(moveWorkflowId(schemaOf(shard))).query<Progress>(progressQuery)).phase;

/** Waits until a shard's move has reached the step in which the mocked steps make it stay. */
export const stays = (shard: number): Promise<unknown> =>
  waitFor(
    async () => {
      const { raw } = await client.workflow.getHandle(moveWorkflowId(schemaOf(shard))).describe();
      return raw.pendingActivities?.some(({ activityType }) => activityType?.name === "analyze");
    },
    { what: `the move of ${shard} to stay` },
  );

export const staying =
  (...shards: number[]): Steps =>
  (schema) =>
    shards.map(schemaOf).includes(schema) ? "waits for its cancellation" : undefined;

export async function runsOf(workflowId: string): Promise<number> {
  let runs = 0;
  for await (const run of client.workflow.list({ query: `WorkflowId = '${workflowId}'` }))
    if (run.runId) runs++;
  return runs;
}
