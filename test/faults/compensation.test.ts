import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, Connection, type WorkflowHandle } from "@temporalio/client";

import { type Activities, type SettleInput } from "../../contract/move.ts";
import { moveWorkflowId, TASK_QUEUE } from "../../contract/names.ts";
import type { move } from "../../workflows/index.ts";
import { createNamespace, waitFor } from "../support/index.ts";
import { type Behaviour, BLOCKED, INPUT, inputs, withMockedSteps } from "./mocks.ts";

const FORWARD = [
  ...["preflight", "create structure", "subscribe", "tablesync", "build indexes", "analyze", "wait for lag"],
  "verify",
  "lock and switch",
] as const;
type Step = (typeof FORWARD)[number] & keyof Activities;

/** What has to be undone, in order, if a given step is the last one that was begun. */
function undoneAfter(step: Step): string[] {
  const begun = FORWARD.indexOf(step);
  return [
    ...(step === "lock and switch" ? ["settle switch"] : []),
    ...(begun >= FORWARD.indexOf("subscribe") ? ["drop replication"] : []),
    ...(begun >= FORWARD.indexOf("create structure") ? ["drop structure"] : []),
  ];
}

/** Runs a move with mocked steps; returns which of them ran, and how the move ended. */
async function runMove(
  step: Step,
  behaviour: Behaviour,
  steer: (handle: WorkflowHandle, ran: () => Promise<boolean>) => Promise<void> = () => Promise.resolve(),
): Promise<{ ran: string[]; status: string }> {
  const place = await createNamespace();
  const connection = await Connection.connect({ address: place.address });
  const client = new Client({ connection, namespace: place.namespace });
  let status = "";
  const ran = await withMockedSteps(place, { [step]: behaviour }, async () => {
    const handle = await client.workflow.start<typeof move>("move", {
      workflowId: moveWorkflowId("sh0042"),
      taskQueue: TASK_QUEUE,
      args: [INPUT],
    });
    const pending = async (): Promise<boolean> =>
      ((await handle.describe()).raw.pendingActivities ?? []).some(
        ({ activityType }) => activityType?.name === step,
      );
    await steer(handle, pending);
    await handle.result().catch(() => undefined);
    status = (await handle.describe()).status.name;
  });
  await connection.close();
  return { ran, status };
}

describe("the order in which a move is undone", { timeout: 300_000 }, () => {
  for (const [i, step] of (FORWARD as readonly Step[]).entries()) {
    it(`after ${step} failed for good is the reverse of what was begun`, async () => {
      const { ran, status } = await runMove(step, "fails for good");
      assert.deepEqual(ran, [...FORWARD.slice(0, i + 1), ...undoneAfter(step)]);
      assert.equal(status, "FAILED");
    });

    it(`after a cancellation in ${step} is the reverse of what was begun`, async () => {
      const { ran, status } = await runMove(step, "waits for its cancellation", async (handle, pending) => {
        await waitFor(pending, { what: `${step} to run` });
        await handle.cancel();
      });
      assert.deepEqual(ran, [...FORWARD.slice(0, i + 1), ...undoneAfter(step)]);
      assert.equal(status, "CANCELLED");
    });
  }

  it("begins with a look whether the shard has left, which knows for how long writers have been blocked", async () => {
    await runMove("lock and switch", "fails for good");
    assert.deepEqual((inputs.get("settle switch") as SettleInput).blocked, BLOCKED);
  });

  it("is not needed when a step that fails once is tried again", async () => {
    const { ran, status } = await runMove("build indexes", "fails once");
    assert.deepEqual(
      ran,
      FORWARD.flatMap((step) => (step === "build indexes" ? [step, step] : [step])).concat(
        "clean up" as never,
      ),
    );
    assert.equal(status, "COMPLETED");
  });
});
