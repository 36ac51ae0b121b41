import assert from "node:assert/strict";
import { it } from "node:test";

import { Client } from "pg";

import { type TestDatabase, waitFor } from "../support/index.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";
import { stallRowsSql, whileStalled } from "./steps.ts";

/** Waits until somebody holds a lock on a table, or waits for it. */
async function isLocked(
  { rows }: TestDatabase,
  table: string,
  mode: string,
  granted: boolean,
): Promise<boolean> {
  const sql = "SELECT FROM pg_locks WHERE relation = $1::regclass AND mode = $2 AND granted = $3";
  return waitFor(async () => (await rows(sql, [table, mode, granted])).length > 0, {
    what: `${mode} on ${table}, granted: ${granted}`,
  });
}

it("an application that truncates tables during a direct copy neither fails nor waits for more than one table", async () => {
  const world = await createWorld();
  const { a, b } = world;
  await createShard(
    a,
    42,
    // 50 MB in transit: the buffers of both connections, which take some 10 MB, must not hide that the copy has stalled.
    `CREATE TABLE sh0042.first (id int PRIMARY KEY, filler text);
     INSERT INTO sh0042.first SELECT i, repeat(md5(i::text), 40) FROM generate_series(1, 40000) i;
     CREATE TABLE sh0042.second (id int PRIMARY KEY);
     INSERT INTO sh0042.second SELECT generate_series(1, 1000)`,
  );
  const application = new Client({ connectionString: a.dsn });
  await application.connect();
  const worker = await world.startWorker({ fault: "before tablesync", mode: "hold" });
  const move = await world.startMove({ copyMethod: "direct" });
  await worker.reached("before tablesync");
  await b.rows(stallRowsSql("sh0042.first"));
  const { truncating } = await whileStalled(b, async (stalled) => {
    worker.goOn();
    await stalled();
    await isLocked(a, "sh0042.first", "AccessShareLock", true);
    // The copy reaches the second table while this session holds it and waits for the first.
    await application.query("BEGIN; TRUNCATE sh0042.second");
    const waiting = application.query("TRUNCATE sh0042.first");
    await isLocked(a, "sh0042.first", "AccessExclusiveLock", false);
    return { truncating: waiting };
  });
  await truncating;
  await application.query("INSERT INTO sh0042.first VALUES (1, 'new'); COMMIT");
  await application.end();
  const { leftover } = await resultOf(move);
  for (const [database, schema] of [
    [a, leftover],
    [b, "sh0042"],
  ] as const) {
    assert.deepEqual(await database.rows(`SELECT * FROM ${schema}.first`), [{ id: 1, filler: "new" }]);
    assert.deepEqual(await database.rows(`SELECT * FROM ${schema}.second`), []);
  }
});
