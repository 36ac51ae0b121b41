import assert from "node:assert/strict";
import { it } from "node:test";

import { Worker } from "@temporalio/worker";

import { beginOf, type History, lastEvent, readHistory, recorded } from "../histories/history-file.ts";
import { bundleWorkflows } from "../support/workflow-bundle.ts";

/** Replays one history with the present workflows; returns what does not match. */
async function replay(history: History): Promise<Error | undefined> {
  const workflowBundle = { codePath: await bundleWorkflows() };
  const { workflowId } = beginOf(history);
  for await (const result of Worker.runReplayHistories({ workflowBundle }, [{ workflowId, history }]))
    return result.error;
  throw new Error("nothing was replayed");
}

for (const name of recorded()) {
  it(`a run that began earlier continues with the present workflows: ${name}`, async () => {
    assert.equal(await replay(readHistory(name)), undefined);
  });
}

it("a rebalance is recorded before and after it continued as new", () => {
  const [before, after] = ["rebalance", "rebalance-run-2"].map(readHistory);
  const { newExecutionRunId } = lastEvent(before!).workflowExecutionContinuedAsNewEventAttributes ?? {};
  const { originalExecutionRunId } = after!.events![0]!.workflowExecutionStartedEventAttributes!;
  assert.equal(newExecutionRunId, originalExecutionRunId);
  const steps = after!.events!.map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name);
  assert.ok(steps.includes("join move"), "the second run waits for a move of the first");
});

it("a history that does not match is noticed", async () => {
  const history = readHistory("move");
  for (const event of history.events ?? []) {
    const type = event.activityTaskScheduledEventAttributes?.activityType;
    if (type?.name === "analyze") type.name = "something else";
  }
  assert.match(String(await replay(history)), /analyze|Nondeterminism|determinism/i);
});
