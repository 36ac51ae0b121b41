import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import type { MoveInput } from "../../contract/move.ts";
import type { Progress } from "../../contract/story.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { waitFor } from "../support/index.ts";
import type { WorkerProcess } from "../support/worker.ts";
import { createWorld, goOnWhenAsked, resultOf, waitingFor, type World } from "../support/world.ts";
import { catalogsOf } from "./catalogs.ts";
import { contentBefore, expectMoved, expectSound, expectUntouched, loadedShard } from "./shard.ts";
import { STALL_SQL, stallRowsSql, whileStalled } from "./steps.ts";

interface Abort {
  when: string;
  /** The fault point at which the worker holds while the abort is requested. */
  hold?: FaultPoint;
  /** SQL on the destination that keeps the step in the middle of its rows, if the worker has to continue from there. */
  inside?: true | string;
  move?: Partial<MoveInput>;
  by: "abort" | "cancel";
}

const paused = async (handle: WorkflowHandle): Promise<boolean> =>
  (await handle.query<Progress>(progressQuery)).phase === "paused";

const isPaused = (handle: WorkflowHandle): Promise<boolean> =>
  waitFor(() => paused(handle), { what: "the pause before the switch" });

const STALL_ROWS = stallRowsSql("sh0042.large");
const [TABLESYNC, DIRECT] = [{ copyMethod: "tablesync" }, { copyMethod: "direct" }] as const;
const ABORTS: Abort[] = [
  { when: "in preflight", hold: "before preflight", by: "abort" },
  { when: "in create structure", hold: "before create structure", by: "cancel" },
  { when: "in subscribe", hold: "after subscribe", move: TABLESYNC, by: "abort" },
  { when: "in tablesync", hold: "before subscribe", inside: STALL_ROWS, move: TABLESYNC, by: "cancel" },
  { when: "in a direct copy", hold: "before tablesync", inside: STALL_ROWS, move: DIRECT, by: "abort" },
  { when: "in build indexes", hold: "before build indexes", inside: true, by: "abort" },
  { when: "in analyze", hold: "before analyze", inside: true, by: "cancel" },
  { when: "in wait for lag", hold: "before wait for lag", by: "abort" },
  { when: "while it waits for the confirmation", move: { wait: true }, by: "abort" },
  { when: "before the lock", hold: "before lock and switch", by: "cancel" },
];

/** Requests the abort at the right moment, and expects it to end the move. */
async function abortAt(
  { hold, inside, by }: Abort,
  world: World,
  worker: WorkerProcess,
  handle: WorkflowHandle,
): Promise<void> {
  const ask = (): Promise<unknown> => (by === "abort" ? handle.signal("abort") : handle.cancel());
  const ended = (): Promise<void> =>
    assert.rejects(resultOf(handle), /aborted; the source is as it was|Workflow canceled/);
  if (hold) await worker.reached(hold);
  else await isPaused(handle);
  if (!inside) {
    await ask();
    if (hold) await goOnWhenAsked(worker, handle);
    return ended();
  }
  if (inside !== true) await world.b.rows(inside);
  // The step itself has to be given up: what it waits for does not happen before the end.
  await whileStalled(world.b, async (stalled) => {
    worker.goOn();
    await stalled();
    await ask();
    await ended();
  });
}

describe("a move that is aborted", { concurrency: 2, timeout: 600_000 }, () => {
  for (const abort of ABORTS) {
    it(`${abort.when} leaves the source as it was and nothing on the destination`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      await world.a.rows(STALL_SQL);
      const before = await contentBefore(world);
      const catalogs = [await catalogsOf(world.a), await catalogsOf(world.b)];
      const worker = await world.startWorker(abort.hold ? { fault: abort.hold, mode: "hold" } : {});
      const handle = await world.startMove(abort.move);
      await abortAt(abort, world, worker, handle);
      assert.deepEqual([await catalogsOf(world.a), await catalogsOf(world.b)], catalogs);
      await expectSound(ledger);
      await expectUntouched(world, before);
    });
  }

  it("while a long transaction keeps it from getting its lock ends at once", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    const catalogs = [await catalogsOf(world.a), await catalogsOf(world.b)];
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await isPaused(handle);
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

  for (const point of ["after lock", "after commit source"] as const) {
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
