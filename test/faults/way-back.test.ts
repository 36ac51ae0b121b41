import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { startPostgres } from "../../src/sandbox/index.ts";
import { finishSignal, progressQuery } from "../../workflows/signals.ts";
import { CachingClients } from "../support/caching-clients.ts";
import { expectNoLeftovers, testIslands, waitFor } from "../support/index.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  goOnWhenAsked,
  resultOf,
  untilPaused,
} from "../support/world.ts";
import {
  closeWay,
  expectOnlyAt,
  HOUR,
  leadsBack,
  loaded,
  shapeOf,
  SHARD,
  startRollback,
  untilOpen,
  wayOf,
} from "./returning-shard.ts";
import { expectSound } from "./shard.ts";

describe("the way back", { concurrency: 3, timeout: 300_000 }, () => {
  it("brings the shard back, and away again, without losing a write; readers see none go back; finish leaves nothing", async () => {
    const world = await createWorld();
    const ledger = await loaded(world);
    const clients = new CachingClients([world.a.dsn, world.b.dsn], "sh0042");
    clients.start();
    const before = await shapeOf(world.a);
    await world.startWorker();
    const moved = await resultOf(await world.startMove({ reversibleMs: HOUR }));
    assert.equal(moved.wayBack?.workflowId, "way-back-sh0042");
    // Written at the new place, by keys and without.
    await world.b.rows("UPDATE sh0042.keyless SET b = 'y' WHERE a = 7");
    await world.b.rows("DELETE FROM sh0042.large WHERE id <= 10");
    const ids = await world.b.rows<{ id: string }>("SELECT nextval('sh0042.ids') AS id");
    await untilOpen(world);
    await assert.rejects(world.a.rows("INSERT INTO sh0042.keyless VALUES (0, 'stale')"), {
      code: "42P01",
    });
    await assert.rejects(world.a.rows("SELECT microsharding.microsharding_ensure_active(42)"));
    const written = await shapeOf(world.b);
    // While writers write.
    const { from, to } = world.input();
    const compared = await resultOf(await world.startVerify({ from: to, to: from }));
    assert.ok(compared.same && compared.rows > 2000, JSON.stringify(compared));

    const back = await resultOf(await startRollback(world));
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
    assert.equal((await resultOf(wayOf(world))).end, "rolled back");
    assert.ok(back.verified && back.verified.rows > 2000, JSON.stringify(back.verified));
    assert.equal(back.wayBack?.workflowId, "way-back-again-sh0042");
    assert.deepEqual(await shapeOf(world.a), written);
    // As long as the way is open, a table without a key needs an identity.
    const same = { keyless: null, large: null, identity: "f" };
    assert.deepEqual({ ...written, ...same }, { ...before, ...same });
    const [next] = await world.a.rows<{ id: string }>("SELECT nextval('sh0042.ids') AS id");
    assert.ok(Number(next!.id) > Number(ids[0]!.id));

    await untilOpen(world, 1);
    await resultOf(await startRollback(world, 1));
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
    assert.deepEqual(await shapeOf(world.b), written);
    await untilOpen(world, 0);
    await wayOf(world).signal(finishSignal);
    const { end, leftover } = await resultOf(wayOf(world));
    assert.equal(end, "finished");
    assert.deepEqual(await shapeOf(world.b), { ...written, identity: "d" });
    await expectSound(ledger);
    await clients.stop();
    assert.deepEqual([clients.failures, clients.older], [[], []]);
    assert.ok(clients.reads > 100 && clients.rediscoveries >= 3, JSON.stringify(clients));
    const schemas = await world.a.rows<{ name: string; comment: string }>(
      "SELECT nspname AS name, obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname LIKE 'sh0%'",
    );
    assert.deepEqual(
      schemas.filter(({ name }) => name === leftover),
      [{ name: leftover, comment: "a comment of somebody" }],
    );
    await expectNoLeftovers(world.a, world.b);
  });

  it("ends by itself, and an aborted rollback leaves it open", async () => {
    const world = await createWorld();
    const ledger = await loaded(world);
    await world.startWorker();
    await resultOf(await world.startMove({ reversibleMs: 60_000 }));
    await untilOpen(world);
    await world.a.rows("DELETE FROM sh0042.large WHERE id = 20").then(
      () => assert.fail("the old copy lets writers through"),
      () => undefined,
    );
    // A difference that nobody but a rogue can make stops the rollback.
    await world.a.rows("SET session_replication_role = replica; DELETE FROM sh0042.large WHERE id = 20");
    const handle = await startRollback(world);
    await waitFor(async () => (await handle.query(progressQuery)).differs, {
      what: "the difference to be found",
      timeout: 60_000,
    });
    await handle.cancel();
    await assert.rejects(handle.result());
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
    const { end } = await resultOf(wayOf(world));
    assert.equal(end, "expired");
    await expectSound(ledger);
    await expectNoLeftovers(world.a, world.b);
  });

  it("is undone with a move that is aborted before its switch", async () => {
    const world = await createWorld();
    const ledger = await loaded(world);
    // The shard has been there before: what the book says of that is not about this way.
    const first = await world.startWorker();
    const { from, to } = world.input();
    await resultOf(await world.startMove());
    await resultOf(await world.startMove({ from: to, to: from }));
    await first.kill();
    const worker = await world.startWorker({ fault: "before lock and switch", mode: "hold" });
    const handle = await world.startMove({ reversibleMs: HOUR });
    await worker.reached("before lock and switch");
    await handle.cancel();
    await goOnWhenAsked(worker, handle);
    await assert.rejects(handle.result());
    await assert.rejects(wayOf(world).result());
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
    await expectSound(ledger);
    await expectNoLeftovers(world.a, world.b);
  });

  it("can be closed before it is open", async () => {
    const world = await createWorld();
    const ledger = await loaded(world);
    await world.startWorker();
    await resultOf(await world.startMove({ reversibleMs: HOUR }));
    const begun = Date.now();
    assert.equal(await closeWay(world), "finished");
    assert.ok(Date.now() - begun < 60_000);
    await expectSound(ledger);
    await expectOnlyAt(world, world.b);
  });

  it("that ends ends a rollback that has not switched, too", async () => {
    const world = await createWorld();
    const ledger = await loaded(world);
    await world.startWorker();
    await resultOf(await world.startMove({ reversibleMs: HOUR }));
    await untilOpen(world);
    const handle = await startRollback(world, 0, { wait: true });
    await untilPaused(handle);
    const closed = closeWay(world);
    await assert.rejects(
      resultOf(handle),
      /no way back any more: it was told to \(finish\); the shard stays/,
    );
    assert.equal(await closed, "finished");
    await expectSound(ledger);
    await expectOnlyAt(world, world.b);
  });

  it("ends aloud when the structure is changed", async () => {
    const world = await createWorld();
    const ledger = await loaded(world);
    await world.startWorker();
    await resultOf(await world.startMove({ reversibleMs: HOUR }));
    await untilOpen(world);
    await world.b.rows("ALTER TABLE sh0042.large ADD COLUMN c int");
    await assert.rejects(resultOf(wayOf(world)), /no way back any more .* has changed \(DDL\)/);
    await expectSound(ledger);
    await expectNoLeftovers(world.a, world.b);
  });

  it("is refused before anything is created where it would not work", async () => {
    const world = await createWorld();
    await createShard(world.a, 42, `${SHARD}; CREATE UNLOGGED TABLE sh0042.fleeting (id int PRIMARY KEY)`);
    await world.startWorker();
    await assert.rejects(
      resultOf(await world.startMove({ reversibleMs: HOUR })),
      /the way back would not work .*"fleeting"/,
    );
    await expectNoLeftovers(world.a, world.b);
  });

  it("keeps no more WAL than its budget while the old place is away, and frees this side", async () => {
    const [a, { b }] = [await startPostgres({ name: "old-place", version: 17 }), await testIslands()];
    const world = await createWorld({ servers: { a, b } });
    const ledger = await loaded(world);
    await world.startWorker();
    await resultOf(await world.startMove({ reversibleMs: HOUR, reversibleMaxWalBytes: 32 << 20 }));
    await untilOpen(world);
    await a.stop();
    const kept = async (): Promise<number | null> => {
      const [slot] = await world.b.rows<{ bytes: string }>(
        `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS bytes FROM pg_replication_slots
         WHERE database = current_database()`,
      );
      return slot ? Number(slot.bytes) : null;
    };
    let most = 0;
    const fill = async (): Promise<boolean> => {
      await world.b.rows(
        "INSERT INTO sh0042.large (a) SELECT repeat(md5(i::text), 20) FROM generate_series(1, 5000) i",
      );
      const bytes = await kept();
      most = Math.max(most, bytes ?? 0);
      return bytes === null;
    };
    await waitFor(fill, { what: "the slot to be dropped", timeout: 60_000 });
    assert.ok(most < (32 + 64) << 20, `${most} bytes were kept`);
    await a.start();
    assert.equal((await resultOf(wayOf(world))).end, "wal limit");
    await expectSound(ledger);
    await expectNoLeftovers(world.a, world.b);
  });

  it("leads from PostgreSQL 18 to 14", () => leadsBack(14, 18));
});
