import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { Proxy } from "../support/index.ts";
import { resultOf } from "../support/world.ts";
import { createMigrateWorld, expectSoundLedgers, schemaOf, shardsOf } from "./world.ts";

/** Defines the tests of a worker that freezes at the given points, is replaced, and wakes up after the decision. */
export function testFrozen(points: readonly FaultPoint[]): void {
  describe("a worker of a migration that freezes (SIGSTOP)", { concurrency: 2, timeout: 300_000 }, () => {
    for (const [i, point] of points.entries())
      it(`${point} prepares and commits nothing when it wakes up after the decision`, async () => {
        const world = await createMigrateWorld();
        const [host, port] = world.temporal.address.split(":");
        const network = await Proxy.start({ host: host!, port: Number(port) });
        const frozen = await world.startWorker(point, "stop", { address: `127.0.0.1:${network.port}` });
        const ledgers = await world.startLedgers();
        const handle = await world.start(`frozen-${i}`, `ALTER TABLE ledger ADD COLUMN frozen_${i} int`);
        await frozen.reached(point);
        // So that Temporal gives it no further tasks: it is cut off as well.
        network.cut();
        const second = await world.startWorker("before commit 2", "hold");
        await second.reached("before commit 2");
        await frozen.wake();
        await frozen.reached("failed prepare everywhere");
        assert.deepEqual(
          await world.shardsWith(`frozen_${i}`),
          [...shardsOf(0), ...shardsOf(2)].map(schemaOf),
        );
        second.goOn();
        await resultOf(handle);
        await expectSoundLedgers(ledgers);
        assert.equal(await world.expectAllOrNone(`frozen_${i}`, `frozen-${i}`), "all");
        await world.endWorkers();
      });
  });
}
