import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { MoveInput } from "../../contract/move.ts";
import { waitFor } from "../support/index.ts";
import type { WorkerProcess } from "../support/worker.ts";
import { createWorld, resultOf, type World } from "../support/world.ts";
import { attemptsOf, contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

interface Kill {
  step: string;
  /** Fault point at which the worker dies, or from which on `inside` is waited for. */
  fault: string;
  /** A lock on the destination's table that stops the step in its middle, for as long as it takes to kill the worker. */
  inside?: string;
  copyMethod?: MoveInput["copyMethod"];
}

const KILLS: Kill[] = [
  { step: "preflight", fault: "after preflight" },
  { step: "create structure", fault: "after create structure" },
  { step: "subscribe", fault: "after subscribe", copyMethod: "tablesync" },
  { step: "tablesync", fault: "before tablesync", inside: "LOCK sh0042.large", copyMethod: "tablesync" },
  { step: "tablesync", fault: "before tablesync", inside: "LOCK sh0042.large", copyMethod: "direct" },
  {
    step: "build indexes",
    fault: "before build indexes",
    inside: "LOCK sh0042.large IN ROW EXCLUSIVE MODE",
  },
  { step: "analyze", fault: "after analyze", copyMethod: "tablesync" },
  { step: "wait for lag", fault: "after wait for lag" },
  { step: "lock and switch", fault: "after lock and switch" },
  { step: "clean up", fault: "after clean up" },
];

async function killAt(worker: WorkerProcess, world: World, { fault, inside, step }: Kill): Promise<void> {
  await worker.reached(fault);
  if (!inside) return worker.gone();
  await world.b.withClient(async (client) => {
    await client.query(`BEGIN; ${inside}`);
    worker.goOn();
    const waiting = `SELECT FROM pg_locks WHERE NOT granted AND relation = 'sh0042.large'::regclass`;
    await waitFor(async () => (await client.query(waiting)).rowCount !== 0, {
      what: `the middle of ${step}`,
    });
    await worker.kill();
  });
}

describe("a worker that is killed with SIGKILL", { concurrency: 4, timeout: 600_000 }, () => {
  for (const kill of KILLS) {
    const how = kill.copyMethod ? ` (${kill.copyMethod})` : "";
    it(`${kill.inside ? "in the middle" : "at the end"} of ${kill.step}${how} is replaced by the next, and nothing is lost`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world, { rows: 1000 });
      const before = await contentBefore(world);
      const worker = await world.startWorker({ fault: kill.fault, mode: kill.inside ? "hold" : "kill" });
      const handle = await world.startMove({ copyMethod: kill.copyMethod ?? "direct" });
      await killAt(worker, world, kill);
      await world.startWorker();
      const { leftover } = await resultOf(handle);
      const { longestGapMs } = await expectSound(ledger);

      assert.ok((await attemptsOf(handle, kill.step)) > 1, "the worker died too late");
      await expectMoved(world, leftover, before);
      assert.ok(longestGapMs < 5000, `no write for ${longestGapMs} ms`);
    });
  }
});
