import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { MoveInput } from "../../workflows/contract.ts";
import { waitFor } from "../support/index.ts";
import type { WorkerProcess } from "../support/worker.ts";
import { createWorld, resultOf, type World } from "../support/world.ts";
import { attemptsOf, contentBefore, expectMoved, expectSound, LARGE, loadedShard } from "./shard.ts";
import { copying, indexing } from "./steps.ts";

interface Kill {
  step: string;
  /** Fault point at which the worker dies, or from which on `inside` is waited for. */
  fault: string;
  /** True in the middle of the step. */
  inside?: (world: World) => Promise<boolean>;
  copyMethod?: MoveInput["copyMethod"];
}

const KILLS: Kill[] = [
  { step: "preflight", fault: "after preflight" },
  { step: "create structure", fault: "after create structure" },
  { step: "subscribe", fault: "after subscribe", copyMethod: "tablesync" },
  { step: "tablesync", fault: "before tablesync", inside: copying, copyMethod: "tablesync" },
  { step: "tablesync", fault: "before tablesync", inside: copying, copyMethod: "direct" },
  {
    step: "build indexes",
    fault: "before build indexes",
    inside: indexing,
  },
  { step: "analyze", fault: "after analyze", copyMethod: "tablesync" },
  { step: "wait for lag", fault: "after wait for lag" },
  { step: "lock and switch", fault: "after lock and switch" },
  { step: "clean up", fault: "after clean up" },
];

async function killAt(worker: WorkerProcess, world: World, { fault, inside, step }: Kill): Promise<void> {
  await worker.reached(fault);
  if (!inside) return worker.gone();
  await waitFor(() => inside(world), { what: `the middle of ${step}`, every: 5 });
  await worker.kill();
}

describe("a worker that is killed with SIGKILL", { concurrency: 3, timeout: 300_000 }, () => {
  for (const kill of KILLS) {
    const how = kill.copyMethod ? ` (${kill.copyMethod})` : "";
    it(`${kill.inside ? "in the middle" : "at the end"} of ${kill.step}${how} is replaced by the next, and nothing is lost`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world, { rows: kill.inside ? LARGE : 1000 });
      const before = await contentBefore(world);
      const worker = await world.startWorker({ fault: kill.fault, mode: kill.inside ? "tell" : "kill" });
      const handle = await world.startMove({ copyMethod: kill.copyMethod ?? "direct" });
      await killAt(worker, world, kill);
      await world.startWorker();
      const { leftover } = await resultOf(handle);
      const { longestGapMs } = await expectSound(ledger);

      assert.ok((await attemptsOf(handle, kill.step)) > 1, "the worker died too late");
      await expectMoved(world, leftover, before);
      assert.ok(longestGapMs < 2000, `no write for ${longestGapMs} ms`);
    });
  }
});
