import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { install } from "../../src/postgres/api/install.ts";
import { dropSlots } from "../../src/postgres/replication/objects.ts";
import { backendPid } from "../../src/postgres/session.ts";
import { expectNoLeftovers, type TestDatabase, waitFor, withClient } from "../support/index.ts";
import {
  activePlaces,
  createWorld,
  resultOf,
  untilPaused,
  waitingFor,
  type World,
} from "../support/world.ts";
import { expectSound, loadedShard } from "./shard.ts";

const CHANGES = {
  "ALTER TABLE … ADD COLUMN": "ALTER TABLE sh0042.ledger ADD COLUMN more text DEFAULT 'x'",
  "CREATE TABLE": "CREATE TABLE sh0042.another (id int PRIMARY KEY)",
  "a new partition": "CREATE TABLE sh0042.events_2 PARTITION OF sh0042.events FOR VALUES FROM (10) TO (20)",
  "CREATE INDEX": "CREATE INDEX ON sh0042.ledger (op)",
  "a dropped table": "DROP TABLE sh0042.large",
};

/** Changes to our publication after which it no longer sends everything. */
const TAMPERINGS = {
  "a table is dropped from it": "DROP TABLE ONLY sh0042.ledger",
  "it sends inserts only": "SET (publish = 'insert')",
};

const CHANGED = /structure of schema "sh0042" on .* was changed during the move \(DDL\)/;

/** Asserts that the move has ended because of the change, and that nothing of it is left. */
async function expectUndone(
  world: World,
  handle: { result(): Promise<unknown> },
  reason = CHANGED,
): Promise<void> {
  const { a, b } = world;
  await assert.rejects(resultOf(handle), reason);
  assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
  assert.deepEqual(await b.rows("SELECT FROM pg_namespace WHERE nspname LIKE 'sh0042%'"), []);
  const [keyless] = await a.rows("SELECT relreplident FROM pg_class WHERE oid = 'sh0042.keyless'::regclass");
  assert.deepEqual(keyless, { relreplident: "d" });
  await expectNoLeftovers(a, b);
}

/** Replaces a database, whose subscription ends with it, by an empty one. */
async function replace({ name, server, rows }: TestDatabase): Promise<void> {
  const [{ subscription }] = (await rows(
    "SELECT subname AS subscription FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database()",
  )) as [{ subscription: string }];
  await rows(
    `ALTER SUBSCRIPTION ${subscription} DISABLE; ALTER SUBSCRIPTION ${subscription} SET (slot_name = NONE)`,
  );
  await rows(`DROP SUBSCRIPTION ${subscription}`);
  await withClient(server.dsn(), async (client) => {
    await client.query(`DROP DATABASE "${name}" WITH (FORCE)`);
    await client.query(`CREATE DATABASE "${name}"`);
  });
  await withClient(server.dsn(name), (client) => install(client));
}

/** Starts a move that waits for its confirmation, and waits until it has paused. */
async function pausedMove(world: World): ReturnType<World["startMove"]> {
  await world.startWorker();
  const handle = await world.startMove({ wait: true });
  await untilPaused(handle);
  return handle;
}

it(
  "REINDEX CONCURRENTLY on the source changes nothing of which a move takes notice",
  { timeout: 120_000 },
  async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    await world.a.rows(
      `CREATE INDEX sums ON sh0042.ledger ((op || 'x'), op) WHERE op <> 'a' AND op <> 'b';
     COMMENT ON INDEX sh0042.sums IS 'of the test'`,
    );
    const handle = await pausedMove(world);
    await world.a.rows("REINDEX SCHEMA CONCURRENTLY sh0042");
    await handle.signal("confirm");
    assert.equal((await resultOf(handle)).activated, true);
    await expectSound(ledger);
  },
);

describe("DDL on the source in the middle of a move", { concurrency: 3, timeout: 300_000 }, () => {
  for (const [what, sql] of Object.entries(CHANGES)) {
    it(`ends it with the reason, and everything is undone: ${what}, while it waits for its confirmation`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      await world.a.rows("CREATE TABLE sh0042.events (id int) PARTITION BY RANGE (id)");
      const handle = await pausedMove(world);
      await world.a.rows(sql);
      await handle.signal("confirm");
      await expectUndone(world, handle);
      await expectSound(ledger);
    });
  }

  it("also ends it when the destination can no longer apply the changes", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const worker = await world.startWorker({ fault: "before wait for lag", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before wait for lag");
    await world.a.rows("ALTER TABLE sh0042.ledger ADD COLUMN more text DEFAULT 'x'");
    worker.goOn();
    await expectUndone(world, handle);
    await expectSound(ledger);
  });

  for (const [what, sql, changes] of [
    ["also ends it between its last look and its lock", "COMMENT ON COLUMN sh0042.ledger.op IS 'x'", true],
    [
      "does not end it then if only the version of a row in a catalog differs",
      "TRUNCATE sh0042.large",
      false,
    ],
  ] as const)
    it(what, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      const worker = await world.startWorker({ fault: "before lock", mode: "hold" });
      const handle = await world.startMove();
      await worker.reached("before lock");
      await world.a.rows(sql);
      worker.goOn();
      if (changes) await expectUndone(world, handle);
      else assert.equal((await resultOf(handle)).activated, true);
      await expectSound(ledger);
    });

  it("is waited for when it has created a table and not committed yet, since the table would end up in the old copy", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const handle = await pausedMove(world);
    await world.a.withClient(async (client) => {
      await client.query(
        "BEGIN; CREATE TABLE sh0042.another (id int); INSERT INTO sh0042.another VALUES (1)",
      );
      await handle.signal("confirm");
      const pid = backendPid(client);
      const named = async (): Promise<boolean> =>
        (await waitingFor(handle))?.includes(`pid ${pid} `) ?? false;
      await waitFor(named, { what: "the switch to wait for whoever creates the table" });
      await client.query("COMMIT");
    });
    await expectUndone(world, handle);
    assert.deepEqual(await world.a.rows("SELECT * FROM sh0042.another"), [{ id: 1 }]);
    await expectSound(ledger);
  });
});

describe(
  "a publication that somebody changes in the middle of a move",
  { concurrency: 2, timeout: 300_000 },
  () => {
    for (const [what, change] of Object.entries(TAMPERINGS)) {
      it(`prevents the switch when ${what}`, async () => {
        const world = await createWorld();
        const ledger = await loadedShard(world);
        const handle = await pausedMove(world);
        const [publication] = await world.a.rows<{ name: string }>(
          "SELECT pubname AS name FROM pg_publication",
        );
        await world.a.rows(`ALTER PUBLICATION ${publication!.name} ${change}`);
        await ledger.nextWrite();
        await handle.signal("confirm");
        await expectUndone(
          world,
          handle,
          /the publication of "sh0042" does not keep these tables in step: .*ledger/,
        );
        await expectSound(ledger);
      });
    }
  },
);

it("a slot that is lost in the middle of a move ends it, and everything is undone", async () => {
  const world = await createWorld();
  const ledger = await loadedShard(world);
  const handle = await pausedMove(world);
  await world.a.withClient(async (client) => {
    const { rows } = await client.query<{ name: string }>("SELECT pubname AS name FROM pg_publication");
    await dropSlots(client, rows[0]!.name, null);
  });
  await handle.signal("confirm");
  await expectUndone(world, handle, /the replication slot \S+ on \S+ is gone: the source has removed WAL/);
  await expectSound(ledger);
});

it("a destination that is not the same database as before ends a move; the source is freed, and what is left is reported", async () => {
  const world = await createWorld();
  const { a, b } = world;
  const ledger = await loadedShard(world);
  const handle = await pausedMove(world);
  await replace(b);
  await handle.signal("confirm");
  await assert.rejects(
    resultOf(handle),
    /is not the database with which this move began.*; in addition, not everything could be undone/s,
  );
  assert.deepEqual(await activePlaces("sh0042", a), [a.name]);
  await expectNoLeftovers(a);
  await expectSound(ledger);
});
