import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { waitFor } from "../support/index.ts";
import { activePlaces, createShard, createWorld, resultOf } from "../support/world.ts";

/** Longer than the idle timeout of the sessions that lock, 2 s. */
const STALLED_MS = 2700;

it("a destination that applies the last changes slowly is waited for as long as --max-write-block-ms allows", async () => {
  const world = await createWorld();
  const { a, b } = world;
  await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
  const worker = await world.startWorker({ fault: "before lock", mode: "hold" });
  const handle = await world.startMove({ maxWriteBlockMs: 20_000 });
  await worker.reached("before lock");
  await b.withClient(async (blocker) => {
    await blocker.query("BEGIN; LOCK TABLE sh0042.t IN ACCESS EXCLUSIVE MODE");
    await a.rows("INSERT INTO sh0042.t VALUES (1)");
    worker.goOn();
    const held = `SELECT FROM pg_locks WHERE relation = 'sh0042.t'::regclass AND mode = 'ExclusiveLock' AND granted`;
    await waitFor(async () => (await a.rows(held)).length > 0, { what: "the lock on the source", every: 5 });
    await sleep(STALLED_MS);
    await blocker.query("ROLLBACK");
  });
  const { writeBlockedMs } = await resultOf(handle);
  // A second attempt would have found nothing to wait for.
  assert.ok(writeBlockedMs >= STALLED_MS, `${writeBlockedMs} ms`);
  assert.deepEqual(await activePlaces("sh0042", a, b), [b.name]);
  assert.deepEqual(await b.rows("SELECT * FROM sh0042.t"), [{ id: 1 }]);
});
