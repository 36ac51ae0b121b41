import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { around, type FaultPoint, SWITCH_STATEMENTS } from "../../activities/attempt/fault-points.ts";
import { waitFor } from "../support/index.ts";
import { activePlaces, createWorld, resultOf } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

/** All points of the switch. */
export const POINTS: readonly FaultPoint[] = SWITCH_STATEMENTS.flatMap((name) => around(name));

/** Those after which the state of the servers differs from before; the others are soak tests. */
export const TELLING: readonly FaultPoint[] = [
  "before lock",
  "after lock",
  "after set sequences",
  "after leave source",
  "after commit source",
  "after commit destination",
];

/** From these points on, the shard has left the source. */
const LEFT = new Set<FaultPoint>([
  "after commit source",
  "before commit destination",
  "after commit destination",
]);

/** Milliseconds within which writers have to be free after the holder of the lock has died. */
const FREE_MS = 5000;
/** Milliseconds within which the shard has to be active after a new worker has started. */
const ACTIVE_MS = 10_000;

/** Defines the tests of workers that are killed at the given points. */
export function testKills(points: readonly FaultPoint[]): void {
  describe("a worker killed with SIGKILL in the switch", { concurrency: 3, timeout: 600_000 }, () => {
    for (const point of points) {
      it(`${point}: writers continue, the next worker finishes, and nothing is lost`, async () => {
        const world = await createWorld();
        const { a, b } = world;
        const ledger = await loadedShard(world);
        const before = await contentBefore(world);
        const worker = await world.startWorker({ fault: point });
        const handle = await world.startMove();
        await worker.reached(point);
        await worker.gone();

        if (LEFT.has(point)) {
          await world.startWorker();
          const ready = Date.now();
          await waitFor(async () => (await activePlaces("sh0042", a, b)).includes(b.name), {
            what: "the shard to be active again",
            timeout: ACTIVE_MS,
          });
          await ledger.nextWrite();
          assert.ok(Date.now() - ready < ACTIVE_MS);
        } else {
          assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
          assert.ok((await ledger.nextWrite()) < FREE_MS, "writers stayed blocked");
          await world.startWorker();
        }
        const { leftover } = await resultOf(handle);
        await expectSound(ledger);
        await expectMoved(world, leftover, before);
      });
    }
  });
}
