import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CancelledFailure, type WorkflowFailedError } from "@temporalio/client";

import { abortSignal } from "../../workflows/signals.ts";
import { expectNoLeftovers } from "../support/index.ts";
import { activePlaces, createWorld, resultOf } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, expectUntouched, loadedShard } from "./shard.ts";

describe(
  "an abort in the switch, and the death of the worker with it",
  { concurrency: 2, timeout: 600_000 },
  () => {
    for (const point of ["after commit source", "before commit destination"] as const) {
      it(`${point}: comes too late, and the switch is finished anyway`, async () => {
        const world = await createWorld();
        const ledger = await loadedShard(world);
        const before = await contentBefore(world);
        const worker = await world.startWorker({ fault: point, mode: "hold" });
        const handle = await world.startMove();
        await worker.reached(point);
        await handle.signal(abortSignal);
        await worker.kill();
        await world.startWorker();
        const { leftover, activated } = await resultOf(handle);
        assert.equal(activated, true);
        await expectSound(ledger);
        await expectMoved(world, leftover, before);
      });
    }

    // Depends on what the next worker learns first, the abort or the step to be repeated: both outcomes are legal.
    it("before commit source: the source stays as it was, or the shard is moved whole", async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      const before = await contentBefore(world);
      const worker = await world.startWorker({ fault: "before commit source", mode: "hold" });
      const handle = await world.startMove();
      await worker.reached("before commit source");
      await handle.signal(abortSignal);
      await worker.kill();
      await world.startWorker();
      const result = await handle.result().catch((error: unknown) => {
        // If it ends in any other way, this test has to show the reason.
        if ((error as WorkflowFailedError).cause instanceof CancelledFailure) return null;
        throw error;
      });
      await expectSound(ledger);
      if (result) await expectMoved(world, result.leftover, before);
      else await expectUntouched(world, before);
    });
  },
);

describe("DDL on the source while a step that reads it is repeated", { timeout: 600_000 }, () => {
  it("arrives completely, or ends the move: never the old structure with the new rows", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const worker = await world.startWorker({ fault: "after create structure" });
    const handle = await world.startMove();
    await worker.gone();
    await world.a.rows(
      "ALTER TABLE sh0042.large ADD CONSTRAINT long CHECK (length(a) > 1), ALTER b SET DEFAULT 'new'",
    );
    await world.a.rows("CREATE INDEX later ON sh0042.large (b, a)");
    await world.startWorker();
    await resultOf(handle);
    await expectSound(ledger);
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
    const [found] = await world.b.rows(
      `SELECT to_regclass('sh0042.later') IS NOT NULL AS index,
         EXISTS (SELECT FROM pg_constraint WHERE conname = 'long') AS "check",
         EXISTS (SELECT FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) LIKE '%new%') AS "default"`,
    );
    assert.deepEqual(found, { index: true, check: true, default: true });
    await expectNoLeftovers(world.a, world.b);
  });
});
