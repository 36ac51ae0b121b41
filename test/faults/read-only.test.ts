import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { cleanup, findLeftovers } from "../../src/operations/cleanup.ts";
import { settingsOf } from "../cleanup/islands.ts";
import { expectNoLeftovers, type TestDatabase, withClient } from "../support/index.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  resultOf,
  untilPaused,
  type World,
} from "../support/world.ts";

/** What a provider does to a server whose disk is full. */
const makeReadOnly = ({ name, server }: TestDatabase): Promise<unknown> =>
  withClient(server.dsn(), (client) =>
    client.query(`ALTER DATABASE "${name}" SET default_transaction_read_only = on`),
  );

/** The helpers of the tests know nothing of it. */
const makeWritable = async ({ name, server }: TestDatabase): Promise<void> => {
  await withClient(server.dsn(), (client) =>
    client.query(`ALTER DATABASE "${name}" RESET default_transaction_read_only`),
  );
};

/** A shard with all that a move leaves a trace of on its source. */
const SHARD = `
  CREATE TABLE sh0042.t (id bigserial PRIMARY KEY, name text);
  INSERT INTO sh0042.t (name) SELECT 'x' FROM generate_series(1, 1000);
  CREATE TABLE sh0042.keyless (a int);
  INSERT INTO sh0042.keyless VALUES (1), (2)`;

const rowsOf = async ({ b }: World): Promise<unknown> =>
  (
    await b.rows(
      "SELECT (SELECT count(*)::int FROM sh0042.t) AS t, (SELECT count(*)::int FROM sh0042.keyless) AS keyless",
    )
  )[0];

describe("a source that its provider has made read only", { concurrency: 3, timeout: 300_000 }, () => {
  for (const copyMethod of ["direct", "tablesync"] as const)
    it(`is emptied by a move and a cleanup (${copyMethod})`, async () => {
      const world = await createWorld();
      const { a, b } = world;
      await createShard(a, 42, SHARD);
      await makeReadOnly(a);
      await world.startWorker();
      await resultOf(await world.startMove({ copyMethod }));
      const settings = await settingsOf([a, b]);
      const { dropped, failed } = await cleanup(settings, null, await findLeftovers(settings, null));
      assert.deepEqual([dropped.map(({ kind }) => kind), failed], [["old copy"], []]);
      await makeWritable(a);
      assert.deepEqual(await activePlaces("sh0042", a, b), [b.name]);
      assert.deepEqual(await rowsOf(world), { t: 1000, keyless: 2 });
      await expectNoLeftovers(a, b);
    });

  it("is as it was after an abort", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, SHARD);
    await makeReadOnly(a);
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    await handle.signal("abort");
    await assert.rejects(resultOf(handle), /aborted/);
    await makeWritable(a);
    assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
    await expectNoLeftovers(a, b);
  });

  it("is no destination", async () => {
    const world = await createWorld();
    await createShard(world.a, 42, SHARD);
    await makeReadOnly(world.b);
    await world.startWorker();
    await assert.rejects(resultOf(await world.startMove()), /has default_transaction_read_only = on/);
    await makeWritable(world.b);
  });
});
