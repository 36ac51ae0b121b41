import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { moveWorkflowId } from "../../contract/names.ts";
import type { RebalanceProgress } from "../../contract/rebalance.ts";
import { reachedBy } from "../../src/watch/figures.ts";
import type { Snapshot } from "../../src/watch/snapshot.ts";
import { abortSignal, noticedSignal, rebalanceProgressQuery } from "../../workflows/signals.ts";
import { withMockedSteps } from "../faults/mocks.ts";
import { waitFor } from "../support/index.ts";
import { client, inputOf, place, schemaOf, start, staying, stays } from "./mocked.ts";

const GIB = 2 ** 30;

describe("the percentage of a rebalance", { timeout: 120_000 }, () => {
  it("counts the running moves, and never falls, even if one of them fails", async () => {
    await withMockedSteps(place, { analyze: staying(981, 982) }, async () => {
      const sizes = new Map([
        [981, 100 * GIB],
        [982, 20 * GIB],
        [983, 40 * GIB],
      ]);
      const input = inputOf([...sizes.keys()]);
      const pending = input.pending.map((item) => ({ ...item, bytes: sizes.get(item.shard)! }));
      const rebalance = await start({ ...input, pending });
      const percent = async (): Promise<number> => (await rebalance.query(rebalanceProgressQuery)).percent;
      const reaches = (least: number): Promise<number> =>
        waitFor(async () => ((await percent()) >= least ? percent() : null), { what: `${least} %` });
      const moveOf = (shard: number) => client.workflow.getHandle(moveWorkflowId(schemaOf(shard)));
      await Promise.all([stays(981), stays(982)]);
      const first = await reaches(24.9);
      assert.ok(first < 26, String(first));
      await moveOf(981).signal(noticedSignal, { reached: { percent: 80 } });
      const second = await reaches(74.5);
      assert.ok(second < 76, String(second));
      const { running } = await rebalance.query(rebalanceProgressQuery);
      assert.equal(running.find(({ schema }) => schema === schemaOf(981))?.percent, 80);
      // A report of an attempt that begins again takes nothing back.
      await moveOf(981).signal(noticedSignal, { reached: { percent: 10 } });
      await moveOf(982).signal(noticedSignal, { reached: { percent: 90 } });
      const third = await reaches(second + 10);
      await moveOf(981).signal(abortSignal);
      await waitFor(async () => (await rebalance.query(rebalanceProgressQuery)).failed === 1, {
        what: "the failure",
      });
      assert.ok((await percent()) >= third);
      await moveOf(982).signal(abortSignal);
      await rebalance.result();
      assert.equal(await percent(), 100);
    });
  });

  it("is finer in a look at the moves themselves, and its time left falls as they get on", () => {
    const progress: RebalanceProgress = {
      workflowId: "rebalance",
      phase: "running",
      step: "moves",
      percent: 0,
      startedAt: Date.now() - 600_000,
      pausedSince: null,
      pausedMs: 0,
      waitingFor: null,
      events: [],
      total: 2,
      done: 0,
      failed: 0,
      bytes: 200 * GIB,
      bytesDone: 0,
      effort: 200 * GIB + 2 * 32 * 2 ** 20,
      effortDone: 0,
      running: [
        { workflowId: "move-sh0001", schema: "sh0001", from: "a", to: "b", bytes: 100 * GIB, startedAt: 0 },
      ],
      failures: [],
    };
    const move = (percent: number): Snapshot => ({
      workflowId: "move-sh0001",
      runId: "",
      type: "move",
      running: true,
      historyLength: 1,
      request: {},
      progress: null,
      activities: [
        { step: "tablesync", running: true, attempt: 1, details: { reached: { percent } }, failure: null },
      ],
      walKeptBytes: null,
      idleQueue: null,
      embedded: true,
      endedAt: null,
      link: null,
    });
    assert.equal(reachedBy(progress, []).secondsLeft, null);
    const looks = [10, 20, 40].map((percent) => reachedBy(progress, [move(percent)]));
    assert.deepEqual(
      looks.map(({ percent }) => percent),
      [5, 10, 20],
    );
    assert.deepEqual(
      looks.map(({ secondsLeft }) => Math.round(secondsLeft! / 600)),
      [19, 9, 4],
    );
  });
});
