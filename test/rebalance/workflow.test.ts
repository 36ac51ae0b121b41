import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { moveWorkflowId, REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { outcomeOfError } from "../../src/watch/outcome.ts";
import { abortSignal, rebalanceProgressQuery } from "../../workflows/signals.ts";
import { withMockedSteps } from "../faults/mocks.ts";
import { waitFor } from "../support/index.ts";
import {
  client,
  inputOf,
  ISLANDS,
  place,
  range,
  runsOf,
  schemaOf,
  start,
  startMove,
  stateOf,
  staying,
  stays,
  type Steps,
} from "./mocked.ts";

describe("the workflow rebalance", () => {
  it("makes every move once and names those that fail; 10,000 moves need only a few histories", async () => {
    const analyze: Steps = (schema) => (schema === "sh0007" ? "fails for good" : undefined);
    await withMockedSteps(place, { analyze }, async () => {
      const handle = await start(inputOf(range(1, 40)));
      const { done, failed, activated } = await handle.result();
      assert.deepEqual(
        done.map(({ schema }) => schema).sort(),
        range(1, 40)
          .filter((shard) => shard !== 7)
          .map(schemaOf),
      );
      assert.deepEqual(failed, [
        { schema: "sh0007", from: "a:5432/app", to: "c:5432/app", reason: "analyze failed" },
      ]);
      assert.equal(activated, true);
      // Both are reported, even for a move that begins and ends between two looks of a command.
      const { events: told } = await handle.query(rebalanceProgressQuery);
      for (const shard of range(1, 40)) {
        const lines = told.filter(({ text }) => text.includes(schemaOf(shard))).map(({ text }) => text);
        assert.equal(lines.length, 2);
        assert.match(lines[0]!, /begins to move from/);
        assert.match(lines[1]!, shard === 7 ? /^FAILED/ : /^moved/);
      }
      const { historyLength, historySize } = await handle.describe();
      const [events, bytes] = [historyLength / 40, historySize! / 40];
      console.log(`a move costs its rebalance ${events.toFixed(1)} events and ${Math.round(bytes)} bytes`);
      // Three events of the child, and at most two workflow tasks of three events; 4,096 events make a new history.
      assert.ok(events <= 9.5, `${events} events a move`);
      assert.ok(
        4096 * (bytes / events) < 25e6,
        "a history is full by events, long before its limit of 50 MB",
      );
    });
  });

  it("continues as new when its history is long; running moves continue, and none is lost or doubled", async () => {
    const analyze: Steps = (schema) => (schema === "sh0120" ? "fails for good" : undefined);
    await withMockedSteps(place, { analyze }, async () => {
      const before = await runsOf(REBALANCE_WORKFLOW_ID);
      const handle = await start(inputOf(range(101, 136), { maxEvents: 60 }));
      const { done, failed } = await handle.result();
      const made = [...done.map(({ schema }) => schema), ...failed.map(({ schema }) => schema)];
      assert.deepEqual(made.sort(), range(101, 136).map(schemaOf));
      assert.deepEqual(
        failed.map(({ schema, reason }) => [schema, reason]),
        [["sh0120", "analyze failed"]],
      );
      const runs = await waitFor(async () => ((await runsOf(REBALANCE_WORKFLOW_ID)) - before > 3 ? 1 : 0), {
        what: "more than three runs",
      });
      assert.ok(runs);
      for (const shard of range(101, 136)) assert.equal(await runsOf(moveWorkflowId(schemaOf(shard))), 1);
      const { total, percent, failures } = await client.workflow
        .getHandle(REBALANCE_WORKFLOW_ID)
        .query(rebalanceProgressQuery);
      assert.deepEqual([total, percent, failures.length], [36, 100, 1]);
    });
  });

  it("also aborts the moves that a previous run has started, and waits for their clean-up", async () => {
    await withMockedSteps(place, { analyze: staying(201, 202) }, async () => {
      const handle = await start(inputOf(range(201, 216), { maxEvents: 40, parallelism: 3 }));
      const current = client.workflow.getHandle(REBALANCE_WORKFLOW_ID);
      await waitFor(
        async () =>
          (await current.describe()).raw.pendingActivities?.some(
            ({ activityType }) => activityType?.name === "join move",
          ),
        { what: "a second run that waits for a move of the first" },
      );
      await stays(201);
      await stays(202);
      await current.signal(abortSignal);
      const outcome = await handle.result().then(
        () => null,
        (error: unknown) => outcomeOfError(error),
      );
      assert.equal(outcome?.kind, "aborted");
      assert.match((outcome as { message: string }).message, /aborted; \d+ of 16 moves done/);
      assert.deepEqual([await stateOf(201), await stateOf(202)], ["CANCELLED", "CANCELLED"]);
    });
  });

  it("waits for a move to the same place that is already running, and does not abort it with itself", async () => {
    await withMockedSteps(place, { analyze: staying(301) }, async () => {
      const other = await startMove(301, ISLANDS[2]!);
      await stays(301);
      const handle = await start(inputOf([301, 302]));
      const progress = await waitFor(
        async () => {
          const now = await handle.query(rebalanceProgressQuery);
          const waits = now.events.some(({ text }) => /move-sh0301 is already running/.test(text));
          return now.done === 1 && waits ? now : null;
        },
        { what: "the rebalance to wait" },
      );
      assert.deepEqual(
        progress.running.map(({ schema }) => schema),
        ["sh0301"],
      );
      await handle.signal(abortSignal);
      await assert.rejects(handle.result());
      assert.equal(await stateOf(301), "RUNNING");
      await other.cancel();
      await assert.rejects(other.result());
    });
  });

  it("names as failed a shard that is being moved to another place", async () => {
    await withMockedSteps(place, { analyze: staying(401) }, async () => {
      const other = await startMove(401, ISLANDS[1]!);
      const { done, failed } = await (await start(inputOf([401, 402]))).result();
      assert.deepEqual(
        done.map(({ schema }) => schema),
        ["sh0402"],
      );
      assert.match(
        failed[0]!.reason,
        /move-sh0401, which has been running since .*, is moving the shard from a:5432\/app to b:5432\/app/,
      );
      await other.cancel();
      await assert.rejects(other.result());
    });
  });

  it("leaves its moves running when it is terminated, and the next rebalance waits for them", async () => {
    let slow = true;
    const analyze: Steps = (schema) =>
      slow && schema === "sh0501" ? "waits for its cancellation" : undefined;
    await withMockedSteps(place, { analyze }, async () => {
      const first = await start(inputOf([501, 502]));
      await stays(501);
      await waitFor(async () => (await stateOf(502)) === "COMPLETED", { what: "the other move" });
      await first.terminate("by mistake");
      assert.equal(await stateOf(501), "RUNNING");
      slow = false;
      const second = await start(inputOf([501]));
      await waitFor(async () => (await second.query(rebalanceProgressQuery)).events.length > 0, {
        what: "it to wait",
      });
      await client.workflow.getHandle(moveWorkflowId("sh0501")).signal(abortSignal);
      const { failed } = await second.result();
      assert.match(failed[0]!.reason, /aborted; the source is as it was/);
      assert.equal(await runsOf(moveWorkflowId("sh0501")), 1);
    });
  });

  it("names a move that somebody aborts individually, and continues with the others", async () => {
    await withMockedSteps(place, { analyze: staying(601) }, async () => {
      const handle = await start(inputOf([601, 602, 603]));
      await stays(601);
      await client.workflow.getHandle(moveWorkflowId("sh0601")).signal(abortSignal);
      const { done, failed } = await handle.result();
      assert.deepEqual([done.length, failed[0]!.reason], [2, "it was aborted; the source is as it was"]);
    });
  });
});
