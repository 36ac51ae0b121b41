import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { around, type FaultPoint, MIGRATION_STATEMENTS } from "../../activities/attempt/fault-points.ts";
import { startPostgres } from "../../src/sandbox/index.ts";
import { resultOf } from "../support/world.ts";
import { createMigrateWorld, expectSoundLedgers, type MigrateWorld } from "./world.ts";

/** The steps of a migration that commits in all shards at once. */
const STEPS = ["lease shards", "prepare everywhere", "commit everywhere", "release shards"] as const;

/** The points of the protocol at which a worker may die. */
export const POINTS: readonly FaultPoint[] = [
  ...STEPS.flatMap((step) => around(step)),
  ...around("execute"),
  ...MIGRATION_STATEMENTS.flatMap((name) => [1, 2, 3].flatMap((island) => around(`${name} ${island}`))),
];

/** Milliseconds within which writers have to be free after a new worker has started. */
const FREE_MS = 15_000;

/** The gid of somebody else's prepared transaction. */
const FOREIGN = "shardferry:migrate-of-somebody-else";

/** Defines the tests of workers that are killed at the given points. */
export function testKills(points: readonly FaultPoint[]): void {
  describe("a worker of a migration killed with SIGKILL", { timeout: 1_200_000 }, () => {
    let world: MigrateWorld;
    before(async () => {
      // A prepared transaction prevents everybody on its server from creating a slot.
      const [one, two] = await Promise.all([1, 2].map(() => startPostgres({ version: 17 })));
      world = await createMigrateWorld([one!, two!, one!]);
      for (const island of world.islands) {
        await island.rows("CREATE TABLE others (id int)");
        await island.rows(
          `BEGIN; INSERT INTO others VALUES (1); PREPARE TRANSACTION '${FOREIGN} ${island.name}'`,
        );
      }
    });

    for (const [i, point] of points.entries()) {
      it(`${point}: all shards have the change in the end, and what others have prepared is untouched`, async () => {
        const ledgers = await world.startLedgers();
        const worker = await world.startWorker(point);
        const handle = await world.start(`kill-${i}`, `ALTER TABLE ledger ADD COLUMN kill_${i} int`);
        await worker.reached(point);
        await worker.gone();
        await world.startWorker();
        const ready = Date.now();
        await resultOf(handle);
        await Promise.all(ledgers.map((ledger) => ledger.nextWrite()));
        assert.ok(Date.now() - ready < FREE_MS, "writers stayed blocked");
        await expectSoundLedgers(ledgers);
        assert.equal(await world.expectAllOrNone(`kill_${i}`, `kill-${i}`, [FOREIGN]), "all");
        await world.endWorkers();
      });
    }

    it("leaves alone what others have prepared", async () => {
      for (const island of world.islands) await island.rows(`COMMIT PREPARED '${FOREIGN} ${island.name}'`);
    });
  });
}

/** Defines the test of a workflow that was terminated between the votes and the decision. */
export function testTerminated(): void {
  describe("a migration", { timeout: 300_000 }, () => {
    it("whose workflow was terminated leaves transactions that its next run ends", async () => {
      const world = await createMigrateWorld();
      const point = "after prepare everywhere";
      const worker = await world.startWorker(point);
      const sql = "ALTER TABLE ledger ADD COLUMN terminated int";
      const handle = await world.start("terminated", sql);
      await worker.reached(point);
      await worker.gone();
      await handle.terminate();
      const left = await world.islands[0]!.rows(
        "SELECT FROM pg_prepared_xacts WHERE starts_with(gid, 'shardferry:migrate-terminated:')",
      );
      assert.notEqual(left.length, 0);
      await world.startWorker();
      await resultOf(await world.start("terminated", sql));
      assert.equal(await world.expectAllOrNone("terminated", "terminated"), "all");
    });
  });
}
