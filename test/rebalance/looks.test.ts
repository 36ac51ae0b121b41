import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";

import { moveWorkflowId } from "../../contract/names.ts";
import { loadSettings } from "../../src/config/settings.ts";
import { type Snapshot, takeSnapshot } from "../../src/watch/snapshot.ts";
import { Session } from "../../src/worker/session.ts";
import { abortSignal, skipLagSignal } from "../../workflows/signals.ts";
import { withMockedSteps } from "../faults/mocks.ts";
import { waitFor } from "../support/index.ts";
import { client, inputOf, place, schemaOf, start, staying, stays } from "./mocked.ts";

describe("looks at a running move", () => {
  it("ask its worker only when something has happened since the last look", async () => {
    await withMockedSteps(place, { analyze: staying(970) }, async () => {
      const env = { TEMPORAL_ADDRESS: place.address, TEMPORAL_NAMESPACE: place.namespace };
      const settings = await loadSettings({ action: "status", env, skipConfig: true });
      const session = await Session.open(settings, () => undefined);
      const rebalance = await start(inputOf([970]));
      await stays(970);
      const handle = client.workflow.getHandle(moveWorkflowId(schemaOf(970)));
      const { queries, counted } = countQueries(handle);
      const look = (last?: Snapshot): Promise<Snapshot> => takeSnapshot(session.temporal, counted, last);
      // The task that began the step may still be ending.
      const first = await waitFor(
        async () => {
          const before = await look();
          return (await look(before)).historyLength === before.historyLength ? before : null;
        },
        { what: "a move that does nothing but its step" },
      );

      const asked = queries();
      const second = await look(first);
      assert.equal(queries(), asked);
      // The step's heartbeats do not involve the workflow.
      assert.deepEqual({ ...second, activities: [] }, { ...first, activities: [] });

      await handle.signal(skipLagSignal);
      const third = await waitFor(
        async () => {
          const now = await look(second);
          return now.historyLength > second.historyLength ? now : null;
        },
        { what: "the signal in the history" },
      );
      assert.ok(queries() > asked);
      assert.equal(third.progress?.step, "analyze");

      await handle.signal(abortSignal);
      await rebalance.result();
      await session.close();
    });
  });
});

/** A workflow handle that counts how often it was queried. */
function countQueries(handle: WorkflowHandle): { queries: () => number; counted: WorkflowHandle } {
  let count = 0;
  const query: WorkflowHandle["query"] = (...args) => {
    count++;
    return handle.query(...args);
  };
  return { queries: () => count, counted: { ...handle, query } };
}
