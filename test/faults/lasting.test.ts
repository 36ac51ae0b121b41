import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { withClient } from "../support/index.ts";
import { createShard, createWorld, resultOf, type World } from "../support/world.ts";
import { attemptsOf, contentBefore, expectSound, expectUntouched, LARGE, loadedShard } from "./shard.ts";

/** Runs SQL on the server of the destination, outside of its database. */
const onServerOf = ({ b }: World, sql: string): Promise<unknown> =>
  withClient(b.server.dsn(), (client) => client.query(sql));

describe("a move that meets an error which no patience heals", { concurrency: 2, timeout: 300_000 }, () => {
  it("is undone at once when the destination lacks room, and says where and what to do", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world, { rows: LARGE });
    const before = await contentBefore(world);
    // What a full disk is to a server, this is to a session: an index is sorted in files.
    await onServerOf(
      world,
      `ALTER DATABASE "${world.b.name}" SET temp_file_limit = '64kB';
       ALTER DATABASE "${world.b.name}" SET maintenance_work_mem = '1MB'`,
    );
    await world.startWorker();
    const handle = await world.startMove();
    await assert.rejects(
      resultOf(handle),
      /\/test_\w+: temporary file size exceeds.*SQLSTATE 53400; raise the setting/,
    );
    assert.equal(await attemptsOf(handle, "tablesync"), 1);
    await expectSound(ledger);
    await expectUntouched(world, before);
  });

  it("tries three times where a file is missing, then is undone", async () => {
    const world = await createWorld();
    // The library of an extension's package that only the source has.
    await createShard(
      world.a,
      42,
      `CREATE TABLE sh0042.t (id int PRIMARY KEY);
       CREATE FUNCTION sh0042.missing(internal) RETURNS internal LANGUAGE c AS '$libdir/dict_snowball', 'dsnowball_init';
       UPDATE pg_proc SET probin = '$libdir/only_here' WHERE proname = 'missing'`,
    );
    await world.startWorker();
    const handle = await world.startMove();
    await assert.rejects(resultOf(handle), /\/test_\w+: could not access file "\$libdir\/only_here"/);
    assert.equal(await attemptsOf(handle, "create structure"), 3);
    assert.deepEqual(await world.b.rows("SELECT FROM pg_namespace WHERE nspname = 'sh0042'"), []);
  });
});
