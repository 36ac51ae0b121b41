import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { type Progress, progressQuery } from "../../workflows/contract.ts";
import { waitFor } from "../support/index.ts";
import { resultOf } from "../support/world.ts";
import { createMigrateWorld, expectSoundLedgers, type MigrateWorld, schemaOf } from "./world.ts";

describe("a migration of three islands with eight shards each", { timeout: 300_000 }, () => {
  let world: MigrateWorld;
  before(async () => {
    world = await createMigrateWorld();
    await world.startWorker();
  });

  it("changes all shards under writers, and a rerun skips them", async () => {
    const ledgers = await world.startLedgers();
    const sql = "ALTER TABLE ledger ADD COLUMN first int;\nCREATE INDEX ledger_first ON ledger (first);";
    const { applied, skipped, lockedMs } = await resultOf(await world.start("first", sql));
    const gap = await expectSoundLedgers(ledgers);
    assert.deepEqual([applied, skipped], [24, 0]);
    assert.equal(await world.expectAllOrNone("first", "first"), "all");
    assert.ok(gap < 3000 && lockedMs < 3000, `no write for ${gap} ms, locked for ${lockedMs} ms`);

    const again = await resultOf(await world.start("first", sql));
    assert.deepEqual([again.applied, again.skipped], [0, 24]);
  });
});
