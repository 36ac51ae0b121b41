import assert from "node:assert/strict";
import { it } from "node:test";

import { expectNoLeftovers } from "../support/index.ts";
import { createShard, createWorld, resultOf, untilPaused } from "../support/world.ts";

/** A replicated table, and tables that refer to it and are copied under the lock. */
const SHARD = `
  CREATE TABLE sh0042.parent (id int PRIMARY KEY); INSERT INTO sh0042.parent VALUES (1);
  CREATE UNLOGGED TABLE sh0042.child (parent int REFERENCES sh0042.parent ON DELETE CASCADE DEFERRABLE);
  CREATE TABLE sh0042.odd (parent int REFERENCES sh0042.parent, j json);
  CREATE TABLE sh0042.parts (parent int REFERENCES sh0042.parent, j json) PARTITION BY LIST (parent);
  CREATE TABLE sh0042.part PARTITION OF sh0042.parts DEFAULT;
  INSERT INTO sh0042.child VALUES (1); INSERT INTO sh0042.odd VALUES (1, '{}'); INSERT INTO sh0042.parts VALUES (1, '{}');
  COMMENT ON CONSTRAINT child_parent_fkey ON sh0042.child IS 'of the child'`;

const KEYS = `SELECT conrelid::regclass::text AS table, replace(pg_get_constraintdef(k.oid), ' NOT VALID', '') AS definition,
  obj_description(k.oid, 'pg_constraint') AS comment
  FROM pg_constraint k WHERE contype = 'f' AND connamespace = 'sh0042'::regnamespace ORDER BY 1, 2`;

it("TRUNCATE … CASCADE onto tables that are copied under the lock is applied, and their foreign keys arrive", async () => {
  const world = await createWorld();
  const { a, b } = world;
  await createShard(a, 42, SHARD);
  const keys = await a.rows(KEYS);
  assert.equal(keys.length, 4);
  await world.startWorker();
  const handle = await world.startMove({ wait: true });
  await untilPaused(handle);
  await a.rows(`TRUNCATE sh0042.parent CASCADE; INSERT INTO sh0042.parent VALUES (2);
    INSERT INTO sh0042.child VALUES (2); INSERT INTO sh0042.parts VALUES (2, '[]')`);
  await handle.signal("confirm");
  await resultOf(handle);
  assert.deepEqual(await b.rows(KEYS), keys);
  assert.deepEqual(
    await b.rows(`SELECT (SELECT array_agg(id) FROM sh0042.parent) AS parent, (SELECT array_agg(parent) FROM sh0042.child) AS child,
      (SELECT array_agg(parent) FROM sh0042.odd) AS odd, (SELECT array_agg(parent) FROM sh0042.parts) AS parts`),
    [{ parent: [2], child: [2], odd: null, parts: [2] }],
  );
  await b.rows("DELETE FROM sh0042.parts; DELETE FROM sh0042.parent");
  assert.deepEqual(await b.rows("SELECT FROM sh0042.child"), []);
  await expectNoLeftovers(a, b);
});
