import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { startReplica } from "../../src/sandbox/replica.ts";
import { testIslands } from "../support/index.ts";
import { createWorld, resultOf, untilPaused } from "../support/world.ts";
import { expectOnlyAt, HOUR, loaded, startRollback, untilOpen, wayOf } from "./returning-shard.ts";
import { expectSound } from "./shard.ts";

/** A server that dies is replaced by its replica, which has everything that was acknowledged. */
async function failOver(primary: PostgresServer, replica: PostgresServer): Promise<void> {
  await primary.stop("immediate");
  await replica.withClient((client) => client.query("SELECT pg_promote()"));
  await replica.stop();
  replica.port = primary.port;
  await replica.start();
}

async function withReplica(name: string): Promise<{ primary: PostgresServer; replica: PostgresServer }> {
  const primary = await startPostgres({ name, version: 17 });
  const replica = await startReplica(primary);
  await primary.reload({ synchronous_standby_names: `"${replica.name}"` });
  return { primary, replica };
}

describe("a failover while the way back is open", { concurrency: 2, timeout: 300_000 }, () => {
  it("of the old place ends the way aloud; the shard stays, and nothing is left on either side", async () => {
    const { primary, replica } = await withReplica("old");
    const { b } = await testIslands();
    const world = await createWorld({ servers: { a: primary, b } });
    const ledger = await loaded(world);
    await world.startWorker();
    await resultOf(await world.startMove({ reversibleMs: HOUR }));
    await untilOpen(world);
    await failOver(primary, replica);
    await assert.rejects(resultOf(wayOf(world)), /no way back any more .* has been failed over or restored/);
    await expectSound(ledger);
    await expectOnlyAt(world, world.b);
  });

  it("of the new place ends the way aloud, and a rollback that had begun; no write is lost", async () => {
    const { primary, replica } = await withReplica("new");
    const { a } = await testIslands();
    const world = await createWorld({ servers: { a, b: primary } });
    const ledger = await loaded(world);
    await world.startWorker();
    await resultOf(await world.startMove({ reversibleMs: HOUR }));
    await untilOpen(world);
    const rollback = await startRollback(world, 0, { wait: true });
    await untilPaused(rollback);
    await failOver(primary, replica);
    await rollback.signal("confirm");
    await assert.rejects(resultOf(rollback), /is gone/);
    await assert.rejects(resultOf(wayOf(world)), /no way back any more .* its slot on .* is gone/);
    await expectSound(ledger);
    await expectOnlyAt(world, world.b);
  });
});
