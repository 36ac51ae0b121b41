import assert from "node:assert/strict";
import { it } from "node:test";

import { Client } from "pg";

import { type TestDatabase, waitFor } from "../support/index.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";

/** True when a session of ours reads a table. */
async function isRead(database: TestDatabase, observer: Client, table: string): Promise<boolean> {
  const { rowCount } = await observer.query(
    `SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.relation = $1::regclass AND l.mode = 'AccessShareLock' AND a.query LIKE '%COPY % TO STDOUT%' AND a.datname = $2`,
    [table, database.name],
  );
  return rowCount! > 0;
}

it("an application that truncates tables during a direct copy neither fails nor waits for more than one table (P30)", async () => {
  const world = await createWorld();
  const { a, b } = world;
  await createShard(
    a,
    42,
    `CREATE TABLE sh0042.first (id int PRIMARY KEY, filler text);
     INSERT INTO sh0042.first SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 40000) i;
     CREATE TABLE sh0042.second (id int PRIMARY KEY);
     INSERT INTO sh0042.second SELECT generate_series(1, 1000)`,
  );
  const [application, observer] = [a, a].map(({ dsn }) => new Client({ connectionString: dsn }));
  await Promise.all([application!.connect(), observer!.connect()]);
  await world.startWorker();
  const move = world.startMove({ copyMethod: "direct" });
  await waitFor(() => isRead(a, observer!, "sh0042.first"), {
    what: "the copy of the first table",
    every: 1,
  });
  // The copy comes to the second table while this holds it and waits for the first.
  await application!.query("BEGIN; TRUNCATE sh0042.second; TRUNCATE sh0042.first");
  await application!.query("INSERT INTO sh0042.first VALUES (1, 'new'); COMMIT");
  const { leftover } = await resultOf(await move);
  await Promise.all([application!.end(), observer!.end()]);
  for (const [database, schema] of [
    [a, leftover],
    [b, "sh0042"],
  ] as const) {
    assert.deepEqual(await database.rows(`SELECT * FROM ${schema}.first`), [{ id: 1, filler: "new" }]);
    assert.deepEqual(await database.rows(`SELECT * FROM ${schema}.second`), []);
  }
});
