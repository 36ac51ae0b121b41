/**
 * Records the histories that are replayed against the present workflows: `node --import tsx test/histories/record.ts`
 * makes those that have no file yet. Remove one, and record it again, only if the present workflows need not finish runs
 * that began with the former ones.
 */
import { Client, Connection, type WorkflowHandle } from "@temporalio/client";

import { type MigrateInput } from "../../contract/migrate.ts";
import { REBALANCE_WORKFLOW_ID, TASK_QUEUE } from "../../contract/names.ts";
import { type RebalanceInput } from "../../contract/rebalance.ts";
import { type RollbackInput, rollbackWorkflowId, wayBackWorkflowId } from "../../contract/way-back.ts";
import { closeSandbox } from "../../src/sandbox/index.ts";
import { confirmSignal, finishSignal } from "../../workflows/signals.ts";
import { type Behaviours, INPUT, withMockedSteps } from "../faults/mocks.ts";
import { createNamespace, waitFor } from "../support/index.ts";
import { copyInput } from "../support/move-input.ts";
import { lastEvent, recorded, writeHistory } from "./history-file.ts";

/** A recording: a workflow, how its steps behave, and what is done to it while it runs. */
interface Scene {
  type: string;
  input: unknown;
  workflowId?: string;
  steps?: Behaviours;
  meanwhile?: (handle: WorkflowHandle, client: Client) => Promise<unknown>;
  /** Other workflows that run in the meantime, by the names of their recordings. */
  others?: Record<string, string>;
}

const { schema, shard: _, from, to, ...switches } = INPUT;

const REVERSIBLE = { ...INPUT, reversibleMs: 3_600_000 };

const MIGRATION: MigrateInput = {
  name: "add-column",
  hash: "0".repeat(64),
  sql: "ALTER TABLE users ADD note text",
  source: "add-column.sql",
  islands: [from],
  shards: null,
  mode: "all",
  batch: null,
  dryRun: false,
  lockTimeoutMs: 100,
  deadlineSec: 60,
};

/** Full after a few events, so that the second run continues what the first has begun. */
const REBALANCE: RebalanceInput = {
  islands: [from, to],
  switches,
  parallelism: 2,
  perIsland: null,
  rooms: [],
  pending: [1, 2, 3, 4].map((no) => ({ schema: `sh000${no}`, shard: no, from: 0, to: 1, bytes: no })),
  maxEvents: 16,
};

const SCENES: Record<string, Scene> = {
  move: { type: "move", input: INPUT },
  "move-aborted": {
    type: "move",
    input: INPUT,
    steps: { analyze: "waits for its cancellation" },
    meanwhile: async (handle) => {
      const pending = async () => (await handle.describe()).raw.pendingActivities ?? [];
      const analyzes = async () =>
        (await pending()).some(({ activityType }) => activityType?.name === "analyze");
      await waitFor(analyzes, { what: "analyze to run" });
      await handle.cancel();
    },
  },
  "move-failed-copy": { type: "move", input: INPUT, steps: { tablesync: "fails for good" } },
  "move-failed-switch": { type: "move", input: INPUT, steps: { "lock and switch": "fails for good" } },
  "move-wal-limit": {
    type: "move",
    input: INPUT,
    steps: { "watch WAL": "fails for good", tablesync: "waits for its cancellation" },
  },
  copy: {
    type: "copy",
    input: copyInput({ schema, from, to, wait: true }),
    meanwhile: (handle) => handle.signal(confirmSignal),
  },
  rebalance: { type: "rebalance", input: REBALANCE, workflowId: REBALANCE_WORKFLOW_ID },
  "move-reversible": {
    type: "move",
    input: REVERSIBLE,
    meanwhile: async (handle, { workflow }) => {
      await handle.result();
      const way = workflow.getHandle(wayBackWorkflowId(schema, 0));
      const { runId } = await way.describe();
      const input: RollbackInput = {
        ...REVERSIBLE,
        from: to,
        to: from,
        wayBack: { workflowId: way.workflowId, runId },
      };
      const workflowId = rollbackWorkflowId(schema);
      await workflow.execute("rollback", { workflowId, taskQueue: TASK_QUEUE, args: [input] });
      await way.result();
      const again = workflow.getHandle(wayBackWorkflowId(schema, 1));
      await again.signal(finishSignal);
      await again.result();
    },
    others: {
      rollback: rollbackWorkflowId(schema),
      "way-back-rolled-back": wayBackWorkflowId(schema, 0),
      "way-back-finished": wayBackWorkflowId(schema, 1),
    },
  },
  verify: {
    type: "verify",
    input: { schema, from, toSchema: schema, to, maxReplicationLagSec: 20 },
    workflowId: "verify-sh0042",
  },
  migrate: { type: "migrate", input: MIGRATION },
  "migrate-each": { type: "migrate", input: { ...MIGRATION, mode: "each", batch: 1 } },
  "migrate-rolled-back": {
    type: "migrate",
    input: MIGRATION,
    steps: { "prepare everywhere": "fails for good" },
  },
  // Since the islands keep a history.
  "move-recorded": { type: "move", input: INPUT },
  "move-failed-recorded": { type: "move", input: INPUT, steps: { "lock and switch": "fails for good" } },
  "verify-recorded": {
    type: "verify",
    input: { schema, from, toSchema: schema, to, maxReplicationLagSec: 20 },
    workflowId: "verify-sh0042",
  },
  "migrate-recorded": { type: "migrate", input: MIGRATION },
};

async function record(name: string, scene: Scene): Promise<void> {
  const place = await createNamespace();
  const connection = await Connection.connect({ address: place.address });
  const client = new Client({ connection, namespace: place.namespace });
  await withMockedSteps(place, scene.steps ?? {}, async () => {
    const { type, input, workflowId = `${type}-${schema}` } = scene;
    const handle = await client.workflow.start(type, { workflowId, taskQueue: TASK_QUEUE, args: [input] });
    await scene.meanwhile?.(handle, client);
    await handle.result().catch(() => undefined);
    await writeRuns(client, name, workflowId, handle.firstExecutionRunId);
    for (const [other, id] of Object.entries(scene.others ?? {})) {
      const { runId } = await client.workflow.getHandle(id).describe();
      await writeRuns(client, other, id, runId);
    }
  });
  await connection.close();
}

/** Writes the history of a run, and those of the runs that continued it. */
async function writeRuns(client: Client, name: string, workflowId: string, first: string): Promise<void> {
  for (let runId: string | null | undefined = first, no = 1; runId; no++) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    writeHistory(no === 1 ? name : `${name}-run-${no}`, history);
    runId = lastEvent(history).workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
}

for (const [name, scene] of Object.entries(SCENES)) if (!recorded().includes(name)) await record(name, scene);
await closeSandbox();
process.exit(0);
