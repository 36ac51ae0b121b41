import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { WorkflowHandle } from "@temporalio/client";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { testIslands, waitFor } from "../support/index.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  resultOf,
  untilPaused,
  waitingFor,
  type World,
} from "../support/world.ts";

describe("a destination whose synchronous standby is not connected", { timeout: 300_000 }, () => {
  let server: PostgresServer;
  let world: World;
  before(async () => {
    server = await startPostgres({ name: "without-standby", version: 17 });
    const { a } = await testIslands();
    world = await createWorld({ servers: { a, b: server }, forFile: true });
    await createShard(world.a, 42, "CREATE TABLE sh0042.t (id serial PRIMARY KEY)");
  });

  const standby = (names: string): Promise<unknown> =>
    server.withClient(async (client) => {
      await client.query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
      await client.query("SELECT pg_reload_conf()");
    });

  /** What is said, with the island, the setting and the way out. */
  const said = (): RegExp =>
    new RegExp(
      `commits on ${parseDsn(world.b.dsn).name} wait for a synchronous standby that is not connected .*'nobody'.*ALTER SYSTEM SET`,
    );

  const isSaid = async (handle: WorkflowHandle): Promise<boolean> =>
    said().test((await waitingFor(handle)) ?? "");

  it("is refused", async () => {
    await standby("nobody");
    const worker = await world.startWorker();
    await assert.rejects(resultOf(await world.startMove()), said());
    await worker.release();
    await standby("");
  });

  it("is named while the move waits for it, and the move goes on when it is no longer asked for", async () => {
    const worker = await world.startWorker({ fault: "before create structure", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before create structure");
    await standby("nobody");
    worker.goOn();
    await waitFor(() => isSaid(handle), { what: "the move to say what it waits for" });
    await standby("");
    await resultOf(handle);
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
    await worker.release();
  });

  it("is waited for before the lock, so that writers do not wait", async () => {
    await createShard(world.a, 43, "CREATE TABLE sh0043.t (id serial PRIMARY KEY)");
    await world.startWorker();
    const handle = await world.startMove({ shard: 43, schema: "sh0043", wait: true });
    await untilPaused(handle);
    await standby("nobody");
    await handle.signal("confirm");
    await waitFor(() => isSaid(handle), { what: "the switch to say what it waits for" });
    await world.a.rows("INSERT INTO sh0043.t DEFAULT VALUES");
    await standby("");
    const { writeBlocked } = await resultOf(handle);
    assert.equal(writeBlocked.attempts, 1);
    assert.deepEqual(await world.b.rows("SELECT id FROM sh0043.t"), [{ id: 1 }]);
  });
});
