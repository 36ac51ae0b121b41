import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { waitFor } from "../support/index.ts";
import { activePlaces, createWorld, resultOf, untilPaused } from "../support/world.ts";
import { attemptsOf, contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

/** Milliseconds within which writers have to be free after a worker freezes with the lock. */
const FREE_MS = 5000;

/** Where the worker freezes: alone, or with another one that takes over before it wakes up. */
export interface Freezes {
  alone: readonly FaultPoint[];
  replaced: readonly FaultPoint[];
}

/** Steps whose second run would destroy what came after the first; the other points are in the switch. */
const isStep = (point: FaultPoint): boolean => /create structure|tablesync|subscribe/.test(point);

/** Defines the tests of frozen workers at the given points. */
export function testFreezes({ alone, replaced }: Freezes): void {
  describe("a worker that freezes (SIGSTOP)", { concurrency: 3, timeout: 600_000 }, () => {
    for (const point of alone) {
      it(`${point} frees the writers, and finishes when it wakes up`, async () => {
        const world = await createWorld();
        const { a, b } = world;
        const ledger = await loadedShard(world);
        const before = await contentBefore(world);
        const worker = await world.startWorker({ fault: point, mode: "stop" });
        const handle = await world.startMove();
        await worker.reached(point);
        if (point === "after commit source") {
          assert.deepEqual(await activePlaces("sh0042", a, b), []);
        } else {
          assert.ok((await ledger.nextWrite()) < FREE_MS, "writers stayed blocked");
          assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
        }
        await worker.wake();
        const { leftover } = await resultOf(handle);
        await expectSound(ledger);
        await expectMoved(world, leftover, before);
      });
    }

    for (const point of replaced) {
      it(`${point} is replaced by another, and does no harm when it wakes up`, async () => {
        const world = await createWorld();
        const ledger = await loadedShard(world);
        const before = await contentBefore(world);
        const frozen = await world.startWorker({ fault: point, mode: "stop" });
        const handle = await world.startMove({ wait: true, copyMethod: "direct" });
        if (!isStep(point)) await handle.signal("confirm");
        await frozen.reached(point);
        await world.startWorker();
        if (isStep(point)) {
          // The other one has finished the copy and is waiting when the frozen one wakes up.
          await untilPaused(handle);
          await frozen.wake();
          const [, when, step] = /^(\w+) (.*)/.exec(point)!;
          // After the end of its step, it does nothing more.
          if (when === "before") await frozen.reached(`ended ${step}`);
          assert.ok((await attemptsOf(handle, step!)) > 1, "no second attempt");
          await handle.signal("confirm");
        } else {
          await waitFor(async () => (await activePlaces("sh0042", world.b)).length > 0, {
            what: "the second worker to finish the switch",
          });
          await frozen.wake();
          await frozen.reached("ended lock and switch");
        }
        const { leftover } = await resultOf(handle);
        await ledger.nextWrite();
        await expectSound(ledger);
        await expectMoved(world, leftover, before);
      });
    }
  });
}
