import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { moveWorkflowId } from "../../contract/names.ts";
import { type Progress } from "../../contract/story.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { type PostgresServer, startPostgres, startReplica } from "../../src/sandbox/index.ts";
import { watchLag } from "../../src/watch/lag.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { testIslands, waitFor } from "../support/index.ts";
import { createShard, createWorld, resultOf, untilPaused, waitingFor, type World } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

/** A world whose source has a physical replica. */
async function worldWithReplica(): Promise<{ world: World; replica: PostgresServer }> {
  const a = await startPostgres({ name: "primary", version: 17 });
  const replica = await startReplica(a, { name: "replica-of-a" });
  const { b } = await testIslands();
  return { world: await createWorld({ servers: { a, b } }), replica };
}

const pause = (replica: PostgresServer): Promise<unknown> =>
  replica.withClient((client) => client.query("SELECT pg_wal_replay_pause()"));
const resume = (replica: PostgresServer): Promise<unknown> =>
  replica.withClient((client) => client.query("SELECT pg_wal_replay_resume()"));

/** The lag of the replica that the live view shows, once it is more than a second. */
async function lagOfReplica(world: World, runId: string): Promise<number> {
  const stop = new AbortController();
  const { schema, from, to } = world.input();
  const dsns = [world.a, world.b].map(({ dsn }) => parseDsn(dsn));
  const request = { workflowId: moveWorkflowId(schema), runId, schema, from, to };
  for await (const lags of watchLag(dsns, request, stop.signal)) {
    const lag = lags.find(({ replica }) => replica.startsWith("replica-of-a"));
    if ((lag?.seconds ?? 0) > 1) return lag!.seconds;
  }
  return 0;
}

describe("a physical replica that does not replay", { timeout: 300_000 }, () => {
  for (const copyMethod of ["direct", "tablesync"] as const) {
    it(`keeps a move from copying (${copyMethod}) until it has caught up, and the move says so`, async () => {
      const { world, replica } = await worldWithReplica();
      const ledger = await loadedShard(world);
      const before = await contentBefore(world);
      await pause(replica);
      await world.startWorker();
      const handle = await world.startMove({ maxReplicationLagSec: 1, copyMethod });
      const reason = await waitFor(() => waitingFor(handle), { what: "the move to say that it waits" });
      assert.match(reason, /replication lag of at most 1 s: replica-of-a/);
      assert.deepEqual(await world.b.rows("SELECT FROM sh0042.large"), []);
      assert.ok((await lagOfReplica(world, (await handle.describe()).runId)) > 1);
      await resume(replica);
      const { leftover } = await resultOf(handle);
      await expectSound(ledger);
      await expectMoved(world, leftover, before);
    });
  }

  it("is no longer waited for after skipLag", async () => {
    const { world, replica } = await worldWithReplica();
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    await pause(replica);
    await world.startWorker();
    const handle = await world.startMove({ maxReplicationLagSec: 1 });
    await waitFor(() => waitingFor(handle), { what: "the move to say that it waits" });
    await handle.signal("skipLag");
    const { leftover } = await resultOf(handle);
    const { events } = await handle.query<Progress>(progressQuery);
    assert.ok(events.some(({ text }) => text.includes("told to continue")));
    await expectSound(ledger);
    await expectMoved(world, leftover, before);
    await resume(replica);
  });
});

/** Far less than it takes until something else flushes the WAL of such a server. */
const SOON_MS = 8000;

describe("a source on which only a transaction that is still open has written", { timeout: 300_000 }, () => {
  it("does not keep the move waiting for lag: nobody can replay half a record", async () => {
    // Otherwise the background writer logs something at times.
    const settings = { bgwriter_delay: "10s", autovacuum: "off", synchronous_commit: "off" };
    const a = await startPostgres({ name: "idle", version: 17, settings });
    const { b } = await testIslands();
    const world = await createWorld({ servers: { a, b } });
    await createShard(world.a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    await world.a.rows("CREATE TABLE others (t text)");
    await world.startWorker();
    const handle = await world.startMove({ wait: true, maxReplicationLagSec: 1 });
    await untilPaused(handle);
    await world.a.withClient(async (writer) => {
      await writer.query("BEGIN");
      await writer.query("INSERT INTO others SELECT repeat('x', 100) FROM generate_series(1, 5000)");
      // The WAL writer flushes whole pages, so up to the middle of a record.
      const flushed = async (): Promise<boolean> =>
        (
          await world.a.rows(
            "SELECT WHERE pg_wal_lsn_diff(pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()) < 8192",
          )
        ).length > 0;
      await waitFor(flushed, { what: "the WAL writer" });
      const since = Date.now();
      await handle.signal("confirm");
      await resultOf(handle);
      assert.ok(Date.now() - since < SOON_MS, `${Date.now() - since} ms`);
      await writer.query("ROLLBACK");
    });
  });
});

describe("the confirmation of a move with wait", { timeout: 300_000 }, () => {
  it("is waited for before the switch, and counts even if it comes early", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    const early = await world.startMove({ wait: true });
    await early.signal("confirm");
    await world.startWorker();
    const { leftover } = await resultOf(early);
    await expectSound(ledger);
    await expectMoved(world, leftover, before);
  });
});
