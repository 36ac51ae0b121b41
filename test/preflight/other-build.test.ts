import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { install } from "../../src/postgres/api/install.ts";
import { startPostgres } from "../../src/sandbox/index.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";
import { inspected } from "./inspected.ts";

describe("a destination of another version", { timeout: 120_000 }, () => {
  let from: TestDatabase;
  let to: TestDatabase;
  before(async () => {
    const older = await startPostgres({ version: 15 });
    [from, to] = await Promise.all([createDatabase(older), createDatabase((await testIslands()).a)]);
    for (const database of [from, to]) await database.withClient((client) => install(client));
  });

  it("tells everything that it does not accept at once, also if it is newer", async () => {
    // Since PostgreSQL 16, a child's column is not generated if its parent's is not.
    await createShard(
      from,
      42,
      `CREATE TABLE sh0042.parent (a int, b int);
       CREATE TABLE sh0042.one (b int GENERATED ALWAYS AS (1) STORED) INHERITS (sh0042.parent);
       CREATE TABLE sh0042.fine (id int PRIMARY KEY);
       CREATE TABLE sh0042."t w,o" (b int GENERATED ALWAYS AS (2) STORED) INHERITS (sh0042.parent);
       CREATE VIEW sh0042.v AS SELECT a FROM sh0042.one;
       CREATE INDEX ON sh0042."t w,o" (a)`,
    );
    const { problems } = await inspected(from, to);
    assert.equal(problems.length, 2, problems.join("\n"));
    const [one, two] = [/CREATE TABLE sh0042\.one /, /CREATE TABLE sh0042\."t w,o" /];
    for (const [i, table] of [one, two].entries()) {
      assert.match(
        problems[i]!,
        /does not accept an object of schema "sh0042".*specifies generation expression/,
      );
      assert.match(problems[i]!, table);
    }
    assert.deepEqual(await to.rows("SELECT FROM pg_namespace WHERE nspname = 'sh0042'"), []);
  });
});

it(
  "a unique index that an older destination does not accept is told once, without what needs it",
  { timeout: 120_000 },
  async () => {
    const [newer, older] = await Promise.all([
      startPostgres({ version: 15 }),
      startPostgres({ version: 14 }),
    ]);
    const [from, to] = await Promise.all([createDatabase(newer), createDatabase(older)]);
    for (const database of [from, to]) await database.withClient((client) => install(client));
    await createShard(
      from,
      42,
      `CREATE TABLE sh0042.t (a int NOT NULL);
     CREATE UNIQUE INDEX u ON sh0042.t (a) NULLS NOT DISTINCT;
     COMMENT ON INDEX sh0042.u IS 'needs u';
     ALTER TABLE sh0042.t REPLICA IDENTITY USING INDEX u`,
    );
    const { problems } = await inspected(from, to);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0]!, /CREATE UNIQUE INDEX u ON/);
  },
);

it("a number that the server keeps among the options of columns does not keep a shard from moving, and is no change of it", async () => {
  const world = await createWorld();
  await createShard(world.a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY, name text)");
  const number = (value: number): Promise<unknown> =>
    world.a.rows(
      `UPDATE pg_attribute SET attoptions = ARRAY['pg_attver=${value}'] WHERE attrelid = 'sh0042.t'::regclass AND attnum > 0`,
    );
  // As PostgreSQL 15.20 does by itself.
  await number(22160648);
  await world.startWorker();
  assert.equal((await resultOf(await world.startMove())).activated, true);
});
