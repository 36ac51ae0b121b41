import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { resultOf } from "../support/world.ts";
import { createMigrateWorld, type MigrateWorld, schemaOf } from "./world.ts";

describe("a migration of one shard at a time", { timeout: 300_000 }, () => {
  let world: MigrateWorld;
  before(async () => {
    world = await createMigrateWorld();
    await world.startWorker();
  });

  it("builds indexes concurrently, tells how many shards are done, and continues after a failure", async () => {
    const [a] = world.islands;
    const shard = schemaOf(5);
    await a!.rows(`INSERT INTO ${shard}.ledger (op) VALUES ('a'), ('b')`);
    const sql =
      "ALTER TABLE ledger ADD COLUMN each int;\nCREATE UNIQUE INDEX CONCURRENTLY ledger_each ON ledger (each, (touched % 1));";
    const broken = `${sql}\nSELECT 1 / (count(*) FILTER (WHERE op = 'b') + (current_schema() <> '${shard}')::int) FROM ledger;`;
    await a!.rows(`UPDATE ${shard}.ledger SET op = 'c' WHERE op = 'b'`);
    const error = await resultOf(await world.start("each", broken, { mode: "each" })).then(String, String);
    assert.match(error, /shard sh0005: division by zero \(SQLSTATE 22012\)\neach\.sql:3/);
    assert.match(error, /\d+ of 24 shards are done, the others are not/);
    await a!.rows(`UPDATE ${shard}.ledger SET op = 'b' WHERE op = 'c'`);
    await resultOf(await world.start("each", broken, { mode: "each" }));
    assert.equal((await world.remembering("each")).length, 24);
    assert.equal(await world.expectAllOrNone("each", "each"), "all");
  });

  it("names the shard that a failure leaves half changed, with its statements and the invalid index, and builds that again", async () => {
    const [, b] = world.islands;
    const shard = schemaOf(12);
    await b!.rows(`INSERT INTO ${shard}.ledger (op) VALUES ('twice-1'), ('twice-2')`);
    const sql =
      "ALTER TABLE ledger ADD COLUMN half int;\nCREATE UNIQUE INDEX CONCURRENTLY half_op ON ledger (left(op, 5)) WHERE op LIKE 'twice%';\nSELECT 1;";
    const error = await resultOf(await world.start("half", sql, { mode: "each" })).then(String, String);
    assert.match(error, /shard sh0012: could not create unique index "half_op"/);
    assert.match(
      error,
      new RegExp(
        `sh0012 on \\S+ is half changed: it has had 1 of 3 statements, up to half\\.sql:1, and lacks those from half\\.sql:2 on`,
      ),
    );
    assert.match(
      error,
      /invalid index "sh0012"\."half_op" of ledger.*drops it and builds it again; DROP INDEX CONCURRENTLY "sh0012"\."half_op";/,
    );
    assert.doesNotMatch(error, /twice\)/);
    await b!.rows(`DELETE FROM ${shard}.ledger WHERE op LIKE 'twice%'`);
    await resultOf(await world.start("half", sql, { mode: "each" }));
    const [index] = await b!.rows(
      `SELECT FROM pg_index WHERE indexrelid = '${shard}.half_op'::regclass AND indisvalid`,
    );
    assert.ok(index, "the index is valid");
    assert.equal(await world.expectAllOrNone("half", "half"), "all");
  });

  it("that does not get a lock in time does not claim that nothing was changed", async () => {
    const [a] = world.islands;
    await a!.withClient(async (holder) => {
      await holder.query(`BEGIN; INSERT INTO ${schemaOf(3)}.ledger (op) VALUES ('holder')`);
      const more = { mode: "each", deadlineSec: 1 } as const;
      const sql = "SELECT 1;\nALTER TABLE ledger ADD COLUMN late int;";
      const error = await resultOf(await world.start("late", sql, more)).then(String, String);
      assert.match(error, /could not get all locks at once within 1 s; last blocked by .*sh0003|pid/);
      assert.doesNotMatch(error, /Nothing was changed/);
      assert.match(error, /sh0003 on \S+ is half changed: it has had 1 of 2 statements/);
      await holder.query("COMMIT");
    });
    await resultOf(
      await world.start("late", "SELECT 1;\nALTER TABLE ledger ADD COLUMN late int;", { mode: "each" }),
    );
  });

  it("runs a statement again if its session broke, and gives up if it breaks each time", async () => {
    await Promise.all(world.islands.map((island) => island.rows("CREATE SEQUENCE breaks")));
    const breaks = (times: number): string =>
      `SELECT pg_terminate_backend(pg_backend_pid()) WHERE current_schema() = 'sh0005' AND nextval('public.breaks') <= ${times}`;
    await resultOf(await world.start("twice", breaks(2), { mode: "each" }));
    assert.equal((await world.remembering("twice")).length, 24);
    const sql = `SELECT 1;\n${breaks(1000)};`;
    const error = await resultOf(await world.start("always", sql, { mode: "each" })).then(String, String);
    assert.match(error, /shard sh0005: terminating connection due to administrator command.*\nalways\.sql:2/);
    assert.match(error, /\d+ of 24 shards are done, the others are not/);
    const [tries] = await world.islands[0]!.rows<{ last: string }>("SELECT last_value AS last FROM breaks");
    assert.equal(tries!.last, "6", "three for the one that went well, three for the other");
    await Promise.all(world.islands.map((island) => island.rows("DROP SEQUENCE breaks")));
  });
});
