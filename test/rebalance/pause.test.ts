import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { moveWorkflowId, REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { loadSettings } from "../../src/config/settings.ts";
import { steer } from "../../src/operations/steer.ts";
import { outcomeOfError } from "../../src/watch/outcome.ts";
import type { SteeringSignal } from "../../src/watch/watch.ts";
import { Session } from "../../src/worker/session.ts";
import {
  abortSignal,
  confirmSignal,
  pauseSignal,
  rebalanceProgressQuery,
  skipLagSignal,
} from "../../workflows/signals.ts";
import { withMockedSteps } from "../faults/mocks.ts";
import { waitFor } from "../support/index.ts";
import {
  client,
  inputOf,
  phaseOf,
  place,
  range,
  schemaOf,
  start,
  staying,
  stays,
  type Steps,
  SWITCHES,
} from "./mocked.ts";

describe("a rebalance that is steered", () => {
  it("starts no move while it is paused, continues when confirmed, and only then confirms the waiting moves", async () => {
    await withMockedSteps(place, {}, async () => {
      const input = inputOf(range(701, 704), { parallelism: 2, switches: { ...SWITCHES, wait: true } });
      const handle = await start(input);
      const waits = (shards: number[]): Promise<unknown> =>
        waitFor(async () => (await Promise.all(shards.map(phaseOf))).every((phase) => phase === "paused"), {
          what: `${shards.join(", ")} to wait`,
        });
      const first = await waitFor(
        async () => {
          const { running } = await handle.query(rebalanceProgressQuery);
          return running.length === 2 ? running.map(({ schema }) => Number(schema.slice(2))) : null;
        },
        { what: "two moves" },
      );
      await waits(first);
      await handle.signal(pauseSignal);
      for (const shard of first)
        await client.workflow.getHandle(moveWorkflowId(schemaOf(shard))).signal(confirmSignal);
      const paused = await waitFor(
        async () => {
          const now = await handle.query(rebalanceProgressQuery);
          return now.done === 2 ? now : null;
        },
        { what: "those that ran to end" },
      );
      assert.deepEqual(
        [paused.phase, paused.waitingFor, paused.running],
        ["paused", "confirmation to start the other moves (confirm)", []],
      );
      await handle.signal(confirmSignal);
      const second = range(701, 704).filter((shard) => !first.includes(shard));
      await waits(second);
      const { phase, waitingFor, pausedSince, pausedMs } = await handle.query(rebalanceProgressQuery);
      assert.deepEqual([phase, waitingFor, pausedSince, pausedMs > 0], ["running", null, null, true]);
      await handle.signal(confirmSignal);
      assert.equal((await handle.result()).done.length, 4);
    });
  });

  it("stays paused when it continues as new, and can be aborted then", async () => {
    await withMockedSteps(place, { analyze: staying(830) }, async () => {
      const handle = await start(inputOf(range(801, 830), { parallelism: 2, maxEvents: 60 }));
      await stays(830);
      await handle.signal(pauseSignal);
      const current = client.workflow.getHandle(REBALANCE_WORKFLOW_ID);
      const before = await waitFor(
        async () => {
          const { phase, running } = await current.query(rebalanceProgressQuery);
          return phase === "paused" && running.length === 1 ? (await current.describe()).runId : null;
        },
        { what: "the pause" },
      );
      while ((await current.describe()).historyLength <= 60) await current.signal(skipLagSignal);
      await client.workflow.getHandle(moveWorkflowId("sh0830")).signal(abortSignal);
      const progress = await waitFor(
        async () => {
          const { runId, historyLength } = await current.describe();
          return runId !== before && historyLength > 3 ? current.query(rebalanceProgressQuery) : null;
        },
        { what: "the next run" },
      );
      assert.deepEqual([progress.phase, progress.running, progress.failed], ["paused", [], 1]);
      const { done } = progress;
      await current.signal(abortSignal);
      const outcome = await handle.result().then(
        () => null,
        (error: unknown) => outcomeOfError(error),
      );
      assert.deepEqual(outcome, {
        kind: "aborted",
        message: `aborted; ${done} of 30 moves done, 1 failed`,
      });
    });
  });

  it("is sent no signal that would change nothing; the sender is told why", async () => {
    await withMockedSteps(place, { analyze: staying(901) }, async () => {
      const env = { TEMPORAL_ADDRESS: place.address, TEMPORAL_NAMESPACE: place.namespace };
      const settings = await loadSettings({ action: "pause", env, skipConfig: true });
      const session = await Session.open(settings, () => undefined);
      const handle = await start(inputOf([901], { remaining: 12 }));
      await stays(901);
      const refusals: [SteeringSignal, string | undefined, string, RegExp][] = [
        ["confirm", undefined, "no_effect", /without --wait and is not paused: nothing waits/],
        ["pause", undefined, "no_effect", /Every move of rebalance has started/],
        ["pause", "move-sh0901", "usage", /move-sh0901 cannot be paused: only a rebalance can/],
        ["confirm", "move-sh0901", "no_effect", /move-sh0901 was started without --wait/],
      ];
      for (const [signal, id, code, message] of refusals)
        await assert.rejects(steer(session.temporal, signal, id), { code, message });
      await steer(session.temporal, "skipLag");
      await waitFor(
        async () => (await handle.query(rebalanceProgressQuery)).events.some(({ text }) => /lag/.test(text)),
        { what: "the signal to be passed on" },
      );
      await steer(session.temporal, "abort", "move-sh0901");
      const { failed, remaining } = await handle.result();
      assert.deepEqual([failed.length, remaining], [1, 12]);
      await assert.rejects(steer(session.temporal, "pause"), /No rebalance is running/);
      await session.close();
    });
  });

  it("keeps the reasons of many failures within the limit of a payload", async () => {
    const analyze: Steps = () => "fails for good";
    await withMockedSteps(place, { analyze }, async () => {
      const full = { schema: "sh0001", from: 0, to: 1, reason: "x".repeat(1000) };
      const before = {
        startedAt: Date.now(),
        running: [],
        done: [],
        bytesDone: 0,
        effortDone: 0,
        events: [],
        failed: Array.from({ length: 250 }, () => full),
      };
      const { failed } = await (await start(inputOf([951], { before }))).result();
      assert.equal(failed.at(-1)!.reason, "`shardferry attach move-sh0951` shows why");
    });
  });
});
