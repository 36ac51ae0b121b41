import assert from "node:assert/strict";
import { it } from "node:test";

import { Worker } from "@temporalio/worker";

import { moveWorkflowId } from "../../contract/names.ts";
import { type History, readHistory, recorded } from "../histories/history-file.ts";
import { bundleWorkflows } from "../support/workflow-bundle.ts";

const workflowId = moveWorkflowId("sh0042");

/** Replays one history with the workflows of today; answers what does not fit. */
async function replay(history: History): Promise<Error | undefined> {
  const workflowBundle = { codePath: await bundleWorkflows() };
  for await (const result of Worker.runReplayHistories({ workflowBundle }, [{ workflowId, history }]))
    return result.error;
  throw new Error("nothing was replayed");
}

for (const name of ["aborted", "failed-copy", "failed-switch", "success"]) {
  it(`a move that was begun before goes on with the workflows of today: ${name}`, async () => {
    assert.ok(recorded().includes(name));
    assert.equal(await replay(readHistory(name)), undefined);
  });
}

it("a history that does not fit is noticed", async () => {
  const history = readHistory("success");
  for (const event of history.events ?? []) {
    const type = event.activityTaskScheduledEventAttributes?.activityType;
    if (type?.name === "analyze") type.name = "something else";
  }
  assert.match(String(await replay(history)), /analyze|Nondeterminism|determinism/i);
});
