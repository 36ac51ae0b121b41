import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { waitFor } from "../support/index.ts";
import { createWorld, resultOf, type World } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

/**
 * Puts a table into the state that a crash of the source leaves between two statements of its tablesync worker: the slot
 * is dropped, but it is not committed that the table is done. Such a crash cannot be timed from outside.
 */
async function loseTable({ b }: World, table: string): Promise<void> {
  await waitFor(
    async () => (await b.rows("SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r'")).length === 0,
    { what: "tablesync to end" },
  );
  await b.rows(
    `UPDATE pg_subscription_rel SET srsubstate = 'f', srsublsn = NULL WHERE srrelid = '${table}'::regclass`,
  );
  // The function refuses names that PostgreSQL itself gives. Others who create one on this server take the smallest free
  // number, and their row may not be committed yet: ours is far away.
  await b.rows(
    `INSERT INTO pg_replication_origin
     SELECT (20000 + floor(random() * 40000))::int::oid, concat('pg_', srsubid, '_', srrelid)
     FROM pg_subscription_rel WHERE srrelid = '${table}'::regclass`,
  );
}

/** A move whose worker has died in tablesync, with one of its tables in that state. */
async function moveWithLostTable() {
  const world = await createWorld();
  const ledger = await loadedShard(world);
  const before = await contentBefore(world);
  const worker = await world.startWorker({ fault: "before tablesync" });
  const handle = await world.startMove({ copyMethod: "tablesync" });
  await worker.gone();
  await loseTable(world, "sh0042.ledger");
  return { world, ledger, before, handle };
}

/** Tests with a worker that dies at each of the given points of the second copy. */
export function testLostTables(points: readonly FaultPoint[]): void {
  describe("a table whose tablesync has lost its slot", { concurrency: 4, timeout: 300_000 }, () => {
    it("is copied again, while the others stay", async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      const before = await contentBefore(world);
      const worker = await world.startWorker({ fault: "before tablesync", mode: "hold" });
      const handle = await world.startMove({ copyMethod: "tablesync" });
      await worker.reached("before tablesync");
      await loseTable(world, "sh0042.ledger");
      worker.goOn();
      const { leftover } = await resultOf(handle);
      await expectSound(ledger);
      await expectMoved(world, leftover, before);
    });

    for (const point of points) {
      it(`is copied again when the worker dies ${point}`, async () => {
        const { world, ledger, before, handle } = await moveWithLostTable();
        const second = await world.startWorker({ fault: point });
        await second.gone();
        await world.startWorker();
        const { leftover } = await resultOf(handle);
        await expectSound(ledger);
        await expectMoved(world, leftover, before);
      });
    }

    it("keeps its rows when the worker freezes in the middle, is replaced, and wakes up", async () => {
      const { world, ledger, before, handle } = await moveWithLostTable();
      const frozen = await world.startWorker({ fault: "before truncate", mode: "stop" });
      await frozen.reached("before truncate");
      const next = await world.startWorker({ fault: "before build indexes", mode: "hold" });
      await next.reached("before build indexes");
      const file = (): Promise<object[]> => world.b.rows("SELECT pg_relation_filenode('sh0042.ledger')");
      const copied = await file();
      await frozen.wake();
      await frozen.reached("ended tablesync");
      assert.deepEqual(await file(), copied, "the rows were copied once more");
      next.goOn();
      const { leftover } = await resultOf(handle);
      await expectSound(ledger);
      await expectMoved(world, leftover, before);
    });
  });
}
