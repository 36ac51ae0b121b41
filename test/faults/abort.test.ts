import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";
import type { Client } from "pg";

import { type MoveInput, type Progress, progressQuery } from "../../workflows/contract.ts";
import { waitFor } from "../support/index.ts";
import type { WorkerProcess } from "../support/worker.ts";
import { cancelRequested, createWorld, resultOf, waitingFor, type World } from "../support/world.ts";
import { catalogsOf } from "./catalogs.ts";
import { contentBefore, expectMoved, expectSound, expectUntouched, LARGE, loadedShard } from "./shard.ts";
import { busy, copying, indexing } from "./steps.ts";

interface Abort {
  when: string;
  /** Fault point at which the worker holds while the abort is asked for. */
  hold?: string;
  /** Or true at the moment when it is asked for. */
  inside?: (destination: Client, handle: WorkflowHandle) => Promise<boolean>;
  move?: Partial<MoveInput>;
  rows?: number;
  by: "abort" | "cancel";
}

const paused = async (_: Client | null, handle: WorkflowHandle): Promise<boolean> =>
  (await handle.query<Progress>(progressQuery)).phase === "paused";

const ABORTS: Abort[] = [
  { when: "in preflight", hold: "before preflight", by: "abort" },
  { when: "in create structure", hold: "before create structure", by: "cancel" },
  { when: "in subscribe", hold: "after subscribe", move: { copyMethod: "tablesync" }, by: "abort" },
  { when: "in tablesync", inside: copying, rows: LARGE, move: { copyMethod: "tablesync" }, by: "cancel" },
  { when: "in a direct copy", inside: copying, rows: LARGE, move: { copyMethod: "direct" }, by: "abort" },
  { when: "in build indexes", inside: indexing, rows: LARGE, by: "abort" },
  { when: "in analyze", inside: busy("a.query ~ '^(VACUUM|ANALYZE)'"), rows: LARGE, by: "cancel" },
  { when: "in wait for lag", hold: "before wait for lag", by: "abort" },
  { when: "while it waits for the confirmation", inside: paused, move: { wait: true }, by: "abort" },
  { when: "before the lock", hold: "before lock and switch", by: "cancel" },
];

/** Asks for the abort at the right moment. */
async function abortAt(
  abort: Abort,
  world: World,
  worker: WorkerProcess,
  handle: WorkflowHandle,
): Promise<void> {
  const { hold, inside } = abort;
  if (hold) await worker.reached(hold);
  if (inside) {
    await world.b.withClient((client) =>
      waitFor(() => inside(client, handle), { what: abort.when, every: 5 }),
    );
  }
  if (abort.by === "abort") await handle.signal("abort");
  else await handle.cancel();
  if (hold) await goOnWhenAsked(worker, handle);
}

/** Lets the worker go on once the step itself was told: until then the abort is only on its way to it. */
async function goOnWhenAsked(worker: WorkerProcess, handle: WorkflowHandle): Promise<void> {
  await waitFor(() => cancelRequested(handle), { what: "the abort to reach the step" });
  worker.goOn();
}

describe("a move that is aborted", { concurrency: 2, timeout: 600_000 }, () => {
  for (const abort of ABORTS) {
    it(`${abort.when} leaves the source as it was and nothing on the destination`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world, { rows: abort.rows ?? 1000 });
      const before = await contentBefore(world);
      const catalogs = [await catalogsOf(world.a), await catalogsOf(world.b)];
      const worker = await world.startWorker(abort.hold ? { fault: abort.hold, mode: "hold" } : {});
      const handle = await world.startMove(abort.move);
      await abortAt(abort, world, worker, handle);

      await assert.rejects(resultOf(handle), /aborted; the source is as it was|Workflow canceled/);
      assert.deepEqual([await catalogsOf(world.a), await catalogsOf(world.b)], catalogs);
      await expectSound(ledger);
      await expectUntouched(world, before);
    });
  }

  it("while a long transaction keeps it from its lock ends at once", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    const catalogs = [await catalogsOf(world.a), await catalogsOf(world.b)];
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await waitFor(() => paused(null, handle), { what: "the pause before the switch" });
    await world.a.withClient(async (blocker) => {
      await blocker.query("BEGIN; LOCK TABLE sh0042.large IN ROW EXCLUSIVE MODE");
      await handle.signal("confirm");
      await waitFor(() => waitingFor(handle), { what: "the move to say who blocks it" });
      await handle.signal("abort");
      await assert.rejects(resultOf(handle), /aborted/);
      await blocker.query("ROLLBACK");
    });
    assert.deepEqual([await catalogsOf(world.a), await catalogsOf(world.b)], catalogs);
    await expectSound(ledger);
    await expectUntouched(world, before);
  });

  for (const point of ["after lock", "after commit source"]) {
    it(`in the switch, ${point}, comes too late: the move ends, and says so`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      const before = await contentBefore(world);
      const worker = await world.startWorker({ fault: point, mode: "hold" });
      const handle = await world.startMove();
      await worker.reached(point);
      await handle.signal("abort");
      await goOnWhenAsked(worker, handle);
      const { activated, leftover } = await resultOf(handle);
      assert.equal(activated, true);
      assert.equal((await handle.describe()).status.name, "COMPLETED");
      await expectSound(ledger);
      await expectMoved(world, leftover, before);
    });
  }
});
