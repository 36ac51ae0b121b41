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
