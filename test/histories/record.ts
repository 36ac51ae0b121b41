/**
 * Records the histories that are replayed against the workflows of today:
 * `node --import tsx test/histories/record.ts`. To be run again only when moves that were begun with the
 * workflows of before need not be finished by those of now.
 */
import { Client, Connection } from "@temporalio/client";

import { type Activities } from "../../contract/move.ts";
import { moveWorkflowId, TASK_QUEUE } from "../../contract/names.ts";
import { closeSandbox } from "../../src/sandbox/index.ts";
import type { move } from "../../workflows/index.ts";
import { type Behaviour, INPUT, withMockedSteps } from "../faults/mocks.ts";
import { createNamespace, waitFor } from "../support/index.ts";
import { writeHistory } from "./history-file.ts";

const HISTORIES: Record<string, Partial<Record<keyof Activities, Behaviour>>> = {
  success: {},
  aborted: { analyze: "waits for its cancellation" },
  "failed-copy": { tablesync: "fails for good" },
  "failed-switch": { "lock and switch": "fails for good" },
};

async function record(name: string, behaviours: (typeof HISTORIES)[string]): Promise<void> {
  const place = await createNamespace();
  const connection = await Connection.connect({ address: place.address });
  const client = new Client({ connection, namespace: place.namespace });
  await withMockedSteps(place, behaviours, async () => {
    const handle = await client.workflow.start<typeof move>("move", {
      ...{ workflowId: moveWorkflowId("sh0042"), taskQueue: TASK_QUEUE, args: [INPUT] },
    });
    if (name === "aborted") {
      await waitFor(
        async () =>
          ((await handle.describe()).raw.pendingActivities ?? []).some(
            ({ activityType }) => activityType?.name === "analyze",
          ),
        { what: "analyze to run" },
      );
      await handle.cancel();
    }
    await handle.result().catch(() => undefined);
    writeHistory(name, await handle.fetchHistory());
  });
  await connection.close();
}

for (const [name, behaviours] of Object.entries(HISTORIES)) await record(name, behaviours);
await closeSandbox();
process.exit(0);
