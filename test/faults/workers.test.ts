import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { WorkflowHandle } from "@temporalio/client";

import type { Progress } from "../../contract/story.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { waitFor } from "../support/index.ts";
import { activePlaces, createShard, createWorld, resultOf, untilPaused } from "../support/world.ts";
import { attemptsOf } from "./shard.ts";

const TABLE =
  "CREATE TABLE sh0042.t (id int PRIMARY KEY); INSERT INTO sh0042.t SELECT generate_series(1, 100)";

/** Why the last attempt of the running step failed. */
async function lastFailure(handle: WorkflowHandle): Promise<string> {
  const { raw } = await handle.describe();
  return raw.pendingActivities?.[0]?.lastFailure?.message ?? "";
}

describe("workers", { concurrency: 2 }, () => {
  it("that lack an island say so within seconds, and do not fail a move that another one can do", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, TABLE);
    const lacking = await world.startWorker({ dsns: [a.dsn] });
    const handle = await world.startMove();
    const missing = parseDsn(b.dsn).name;
    const failure = await waitFor(() => lastFailure(handle), { what: "the missing island", timeout: 15_000 });
    assert.ok(failure.includes(`this worker does not know the island ${missing}`), failure);
    assert.match(failure, /Start a worker whose --dsns/);
    await world.startWorker();
    await waitFor(async () => (await handle.query<Progress>(progressQuery)).step !== "preflight", {
      what: "the other worker to do the preflight",
    });
    // Both keep taking turns; the test need not wait until the right one gets each step.
    await lacking.kill();
    await resultOf(handle);
    assert.deepEqual(await activePlaces("sh0042", a, b), [b.name]);
  });

  it("that read the catalogs for a long time before the switch are not taken for dead", async () => {
    const world = await createWorld();
    await createShard(world.a, 42, TABLE);
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    await world.a.withClient(async (client) => {
      // The size of a table is part of what is read, and waits for this.
      await client.query("BEGIN; LOCK TABLE sh0042.t");
      await handle.signal("skipLag");
      await handle.signal("confirm");
      // Longer than the time after which a switch without signs of life is started again.
      await sleep(6000);
      await client.query("COMMIT");
    });
    await resultOf(handle);
    assert.equal(await attemptsOf(handle, "lock and switch"), 1);
  });
});
