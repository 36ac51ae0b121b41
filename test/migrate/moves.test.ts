import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";

import { moveWorkflowId, TASK_QUEUE } from "../../contract/names.ts";
import { type Progress } from "../../contract/story.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import type { move } from "../../workflows/index.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { waitFor } from "../support/index.ts";
import { moveInput } from "../support/move-input.ts";
import { bundleWith } from "../support/workflow-bundle.ts";
import { activePlaces, resultOf, untilPaused, waitingFor } from "../support/world.ts";
import { createMigrateWorld, expectSoundLedgers, type MigrateWorld, schemaOf } from "./world.ts";

async function startMove(
  world: MigrateWorld,
  shard: number,
  wait: boolean,
): Promise<WorkflowHandle<typeof move>> {
  const [from, to] = world.dsns.map((dsn) => parseDsn(dsn).name);
  const input = moveInput({ shard, schema: schemaOf(shard), from: from!, to: to!, wait });
  return world.client.workflow.start<typeof move>("move", {
    workflowId: moveWorkflowId(input.schema),
    taskQueue: TASK_QUEUE,
    args: [input],
  });
}

const waits = (handle: WorkflowHandle, reason: RegExp): Promise<boolean> =>
  waitFor(async () => reason.test((await waitingFor(handle)) ?? ""), { what: `${reason}` });

describe("a move and a migration of the same shard", { timeout: 300_000 }, () => {
  let world: MigrateWorld;
  before(async () => {
    world = await createMigrateWorld();
    await world.startWorker();
  });

  it("the migration waits for the move, says so, and then changes the shard where it is now", async () => {
    const ledgers = await world.startLedgers();
    const moving = await startMove(world, 1, true);
    await untilPaused(moving);
    const migrating = await world.start("behind", "ALTER TABLE ledger ADD COLUMN behind int");
    await waits(migrating, /move-sh0001, which holds sh0001 on/);
    const hurried = await world.start("hurried", "SELECT 1", { waitSec: 1 });
    assert.match(
      await resultOf(hurried).then(String, String),
      /could not begin within 1 s \(--deadline-sec\): move-sh0001, which holds sh0001 on .*Nothing was changed/,
    );
    assert.deepEqual(await world.shardsWith("behind"), []);
    await moving.signal("confirm");
    const { leftover } = await resultOf(moving);
    await resultOf(migrating);
    await expectSoundLedgers(ledgers);
    assert.deepEqual(await activePlaces("sh0001", ...world.islands), [world.islands[1]!.name]);
    await world.islands[0]!.rows(`DROP SCHEMA ${leftover} CASCADE`);
    assert.equal(await world.expectAllOrNone("behind", "behind"), "all");
    assert.equal((await world.remembering("behind")).filter((schema) => schema === "sh0001").length, 1);
  });

  it("the move waits for the migration, says so, and includes the change", async () => {
    const [a] = world.islands;
    await a!.withClient(async (holder) => {
      await holder.query(`BEGIN; INSERT INTO ${schemaOf(3)}.ledger (op) VALUES ('holder')`);
      const migrating = await world.start("before", "ALTER TABLE ledger ADD COLUMN before int");
      await waits(migrating, /idle in transaction/);
      const moving = await startMove(world, 2, false);
      await waits(moving, /migrate-before, which holds sh0002 on/);
      await holder.query("COMMIT");
      await resultOf(migrating);
      const { leftover } = await resultOf(moving);
      await a!.rows(`DROP SCHEMA ${leftover} CASCADE`);
    });
    assert.equal(await world.expectAllOrNone("before", "before"), "all");
    assert.deepEqual(await activePlaces("sh0002", ...world.islands), [world.islands[1]!.name]);
  });

  it("the lease of a terminated workflow, or of an unknown one whose term is over, is taken over", async () => {
    const [a] = world.islands;
    await a!.rows(
      `INSERT INTO microsharding.microsharding_leases_ (schema_name, run_id, workflow_id, kind, expires_at)
       VALUES ('sh0003', 'f0000000-0000-0000-0000-000000000000', 'move-sh0003', 'replication', now() + '3 s')`,
    );
    const migrating = await world.start("after", "ALTER TABLE ledger ADD COLUMN after int");
    await waits(migrating, /move-sh0003, which holds sh0003 on/);
    await resultOf(migrating);
    assert.equal(await world.expectAllOrNone("after", "after"), "all");
  });

  it("a move that pauses for a long time before its switch renews its lease, so that no migration takes it over", async () => {
    const [a] = world.islands;
    await world.endWorkers();
    await world.startWorker(undefined, undefined, { workflows: await bundleWith("20 minutes", "200 ms") });
    const moving = await startMove(world, 4, true);
    await waitFor(async () => (await moving.query<Progress>(progressQuery)).phase === "paused", {
      what: "the move to pause before its switch",
      timeout: 60_000,
    });
    const lease = "microsharding.microsharding_leases_ WHERE schema_name = 'sh0004'";
    await a!.rows(`UPDATE ${lease.replace("WHERE", "SET expires_at = now() - interval '1 s' WHERE")}`);
    await waitFor(
      async () =>
        (await a!.rows(`SELECT FROM ${lease} AND expires_at > now() + interval '50 min'`)).length === 1,
      { what: "the lease to be renewed" },
    );
    await moving.signal("confirm");
    const { leftover } = await resultOf(moving);
    await a!.rows(`DROP SCHEMA ${leftover} CASCADE`);
    assert.deepEqual(await a!.rows(`SELECT FROM ${lease}`), []);
  });

  it("waits for a worker that knows all islands, names the one that is missing, and not longer than asked", async () => {
    await world.endWorkers();
    const [a, ...others] = world.dsns;
    const missing = parseDsn(a!).name;
    const lacking = await world.startWorker(undefined, undefined, { dsns: others });
    const hurried = await world.start("unknown", "SELECT 1", { waitSec: 1 });
    assert.match(
      await resultOf(hurried).then(String, String),
      new RegExp(
        `could not begin within 1 s .*does not know the island ${missing}.*Start a worker whose --dsns`,
      ),
    );
    const migrating = await world.start("known", "ALTER TABLE ledger ADD COLUMN known int");
    const lastFailure = async (): Promise<string> =>
      (await migrating.describe()).raw.pendingActivities?.[0]?.lastFailure?.message ?? "";
    await waitFor(async () => (await lastFailure()).includes(`does not know the island ${missing}`), {
      what: "the missing island",
    });
    await world.startWorker();
    await waitFor(async () => (await world.remembering("known")).length > 0, { what: "the change" });
    await resultOf(migrating);
    assert.equal(await world.expectAllOrNone("known", "known"), "all");
    await lacking.kill();
  });
});
