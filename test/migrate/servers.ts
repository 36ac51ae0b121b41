import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import {
  type PostgresServer,
  startPostgres,
  startTemporal,
  type TemporalServer,
} from "../../src/sandbox/index.ts";
import { waitFor } from "../support/index.ts";
import { resultOf } from "../support/world.ts";
import { createMigrateWorld, expectSoundLedgers, type MigrateWorld, schemaOf, shardsOf } from "./world.ts";

/** The number of the current step's attempt. */
async function attemptOf(handle: WorkflowHandle): Promise<number> {
  const { raw } = await handle.describe();
  return raw.pendingActivities?.[0]?.attempt ?? 0;
}

/** Defines the tests of islands that crash at the given points, and of the other servers. */
export function testServerCrashes(points: readonly FaultPoint[]): void {
  describe("a migration whose servers die", { timeout: 600_000 }, () => {
    let servers: PostgresServer[];
    let temporal: TemporalServer;
    let world: MigrateWorld;
    before(async () => {
      const start = (version: 14 | 17 | 18): Promise<PostgresServer> =>
        startPostgres({ version, durable: true });
      [temporal, servers] = await Promise.all([
        startTemporal(),
        Promise.all([start(14), start(17), start(18)]),
      ]);
      world = await createMigrateWorld(servers, { address: temporal.address, namespace: "default" });
    });

    for (const point of points) {
      const column = point.replaceAll(" ", "_");
      it(`an island, ${point}: all shards have the change when it is back`, async () => {
        const ledgers = await world.startLedgers();
        const worker = await world.startWorker(point, "hold");
        const handle = await world.start(column, `ALTER TABLE ledger ADD COLUMN ${column} int`);
        await worker.reached(point);
        await servers[2]!.restart("immediate");
        worker.goOn();
        await resultOf(handle);
        await expectSoundLedgers(ledgers);
        assert.equal(await world.expectAllOrNone(column, column), "all");
        await world.endWorkers();
      });
    }

    it("an island that restarts while another has lost its transaction: only the lost one is reported, once all others have the change", async () => {
      const [losing, other] = world.islands;
      const worker = await world.startWorker("before commit everywhere", "hold");
      const sql = "ALTER TABLE ledger ADD COLUMN lost int";
      const handle = await world.start("lost", sql);
      await worker.reached("before commit everywhere");
      const [prepared] = await losing!.rows<{ gid: string }>("SELECT gid FROM pg_prepared_xacts");
      await losing!.rows(`ROLLBACK PREPARED '${prepared!.gid}'`);
      await servers[2]!.stop("immediate");
      worker.goOn();
      await waitFor(async () => (await attemptOf(handle)) > 1, {
        what: "an attempt to fail on the island that is down",
      });
      assert.equal((await other!.rows("SELECT FROM pg_prepared_xacts")).length, 0);
      await servers[2]!.start();
      const error = await resultOf(handle).then(String, String);
      assert.match(
        error,
        new RegExp(`on ${losing!.server.host}:${losing!.server.port}/.* is gone and was not committed`),
      );
      assert.deepEqual(await world.shardsWith("lost"), [...shardsOf(1), ...shardsOf(2)].map(schemaOf));
      await resultOf(await world.start("lost", sql));
      assert.equal(await world.expectAllOrNone("lost", "lost"), "all");
      await world.endWorkers();
    });

    it("Temporal, when all is prepared: all shards have the change when it is back", async () => {
      const worker = await world.startWorker("after prepare everywhere", "hold");
      const handle = await world.start("temporal", "ALTER TABLE ledger ADD COLUMN temporal int");
      await worker.reached("after prepare everywhere");
      await temporal.kill();
      worker.goOn();
      await temporal.start();
      await waitFor(() => resultOf(handle), { what: "the migration to end", every: 500 });
      assert.equal(await world.expectAllOrNone("temporal", "temporal"), "all");
      await world.endWorkers();
    });

    it("max_prepared_transactions of 0 is refused with the setting to change, and nothing is touched", async () => {
      const [server] = servers;
      await server!.reload({ max_prepared_transactions: "0" });
      await server!.restart("fast");
      await world.startWorker();
      const handle = await world.start("refused", "ALTER TABLE ledger ADD COLUMN refused int");
      const error = await resultOf(handle).then(String, String);
      assert.match(
        error,
        /max_prepared_transactions is 0 on .*: set it to 10 or more in postgresql.conf and restart/,
      );
      assert.equal(await world.expectAllOrNone("refused", "refused"), "none");
      const tables = await world.islands[0]!.rows(
        `SELECT FROM pg_class WHERE relnamespace = '${schemaOf(1)}'::regnamespace AND relkind = 'r'`,
      );
      assert.equal(tables.length, 2);
    });
  });
}
