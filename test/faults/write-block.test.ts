import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";

import type { StepProgress } from "../../contract/progress.ts";
import { waitFor } from "../support/index.ts";
import { createWorld, reportsOf, resultOf } from "../support/world.ts";
import { catalogsOf } from "./catalogs.ts";
import { contentBefore, expectSound, expectUntouched, loadedShard } from "./shard.ts";

/** Attempts of the switch that have to fail in the same way: a single one may be chance. */
const ATTEMPTS = 4;

/** What the current step reports, and in which attempt of Temporal's. */
async function lookAt(handle: WorkflowHandle): Promise<{ attempt: number; told: Partial<StepProgress> }> {
  const [step] = await reportsOf(handle);
  return { attempt: step?.attempt ?? 0, told: step?.details ?? {} };
}

describe("a limit of --max-write-block-ms that cannot be met", { concurrency: 2, timeout: 300_000 }, () => {
  for (const limit of [1, 5])
    it(`${limit} ms: the move keeps trying in one attempt of its step, says why, and can be aborted; nothing is left`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      // It is copied under the lock, which takes longer than that.
      await world.a.rows("INSERT INTO sh0042.unlogged SELECT i, 'y' FROM generate_series(51, 100000) i");
      const before = await contentBefore(world);
      const catalogs = [await catalogsOf(world.a), await catalogsOf(world.b)];
      const worker = await world.startWorker();
      const handle = await world.startMove({ maxWriteBlockMs: limit });
      const reasons = new Set<string>();
      const { attempt } = await waitFor(
        async () => {
          const look = await lookAt(handle);
          const { note, waitingFor } = look.told;
          const [, tries] = /^attempt (\d+) blocked writers/.exec(note ?? "") ?? [];
          if (tries && waitingFor) reasons.add(waitingFor);
          return Number(tries) >= ATTEMPTS ? look : null;
        },
        { what: `${ATTEMPTS} attempts of the switch`, timeout: 60_000 },
      );
      assert.equal(attempt, 1, worker.output);
      for (const reason of reasons)
        assert.match(
          reason,
          new RegExp(`(switch takes less than|not within) ${limit} ms|^pid |^a lock on the shard's tables$`),
        );
      await handle.signal("abort");
      await assert.rejects(resultOf(handle), /aborted; the source is as it was/);
      assert.deepEqual([await catalogsOf(world.a), await catalogsOf(world.b)], catalogs);
      await expectSound(ledger);
      await expectUntouched(world, before);
    });
});
