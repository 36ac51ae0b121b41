import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import type { MoveInput, STEPS } from "../../contract/move.ts";
import { waitFor } from "../support/index.ts";
import type { WorkerProcess } from "../support/worker.ts";
import { createWorld, resultOf, untilPaused, type World } from "../support/world.ts";
import {
  attemptsOf,
  contentBefore,
  expectMoved,
  expectSound,
  expectUntouched,
  loadedShard,
} from "./shard.ts";

interface Kill {
  /** The fault point at which the worker dies, or after which `inside` is waited for. */
  fault: FaultPoint;
  /** A lock on a table of the destination that stops the step halfway, for as long as it takes to kill the worker. */
  inside?: string;
  copyMethod?: MoveInput["copyMethod"];
}

/** The steps of a move that exist as activities. */
type Step = Exclude<(typeof STEPS)[number], "wait for confirmation">;

/** By step, so that no step can be added without being killed in a test. */
const KILLS: Record<Step, Kill[]> = {
  preflight: [{ fault: "after preflight" }],
  "create structure": [{ fault: "after create structure" }],
  subscribe: [{ fault: "after subscribe", copyMethod: "tablesync" }],
  tablesync: [
    { fault: "before tablesync", inside: "LOCK pg_catalog.pg_subscription_rel", copyMethod: "tablesync" },
    { fault: "before tablesync", inside: "LOCK sh0042.large", copyMethod: "direct" },
  ],
  "build indexes": [{ fault: "before build indexes", inside: "LOCK sh0042.large IN ROW EXCLUSIVE MODE" }],
  analyze: [{ fault: "after analyze", copyMethod: "tablesync" }],
  "wait for lag": [{ fault: "after wait for lag" }],
  // ACCESS EXCLUSIVE: the comparison only reads.
  verify: [{ fault: "before verify", inside: "LOCK sh0042.large" }],
  "lock and switch": [{ fault: "after lock and switch" }],
  "clean up": [{ fault: "after clean up" }],
};

async function killAt(
  worker: WorkerProcess,
  world: World,
  step: string,
  { fault, inside }: Kill,
): Promise<void> {
  await worker.reached(fault);
  if (!inside) return worker.gone();
  await world.b.withClient(async (client) => {
    await client.query(`BEGIN; ${inside}`);
    worker.goOn();
    const waiting = `SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE NOT l.granted AND l.locktype = 'relation' AND a.datname = current_database()
        AND a.backend_type = 'client backend'`;
    const waits = async (): Promise<boolean> => {
      // Otherwise a transaction sees no session that has begun since its first look.
      await client.query("SELECT pg_stat_clear_snapshot()");
      return (await client.query(waiting)).rowCount !== 0;
    };
    await waitFor(waits, { what: `the middle of ${step}` });
    await worker.kill();
  });
}

describe("a worker that is killed with SIGKILL", { concurrency: 4, timeout: 600_000 }, () => {
  const kills = Object.entries(KILLS).flatMap(([step, all]) => all.map((kill) => [step, kill] as const));
  for (const [step, kill] of kills) {
    const how = kill.copyMethod ? ` (${kill.copyMethod})` : "";
    it(`${kill.inside ? "in the middle" : "at the end"} of ${step}${how} is replaced by the next, and nothing is lost`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world, { rows: 1000 });
      const before = await contentBefore(world);
      const worker = await world.startWorker({ fault: kill.fault, mode: kill.inside ? "hold" : "kill" });
      const handle = await world.startMove({ copyMethod: kill.copyMethod ?? "direct" });
      await killAt(worker, world, step, kill);
      await world.startWorker();
      const { leftover } = await resultOf(handle);
      const { longestGapMs } = await expectSound(ledger);

      assert.ok((await attemptsOf(handle, step)) > 1, "the worker died too late");
      await expectMoved(world, leftover, before);
      assert.ok(longestGapMs < 5000, `no write for ${longestGapMs} ms`);
    });
  }

  for (const step of ["drop replication", "drop structure"] as const) {
    it(`at the end of ${step} is replaced by the next, and nothing is left behind`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world, { rows: 1000 });
      const before = await contentBefore(world);
      const worker = await world.startWorker({ fault: `after ${step}` });
      const handle = await world.startMove({ wait: true });
      await untilPaused(handle);
      await handle.signal("abort");
      await worker.gone();
      await world.startWorker();
      await assert.rejects(resultOf(handle), /aborted/);
      await expectSound(ledger);
      await expectUntouched(world, before);
    });
  }
});
