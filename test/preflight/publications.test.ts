import assert from "node:assert/strict";
import { it } from "node:test";

import { createShard, createWorld, resultOf, untilPaused } from "../support/world.ts";

it("a table without replica identity is refused where the destination publishes all tables; with the remedy it moves", async () => {
  const world = await createWorld();
  const { a, b } = world;
  await createShard(
    a,
    42,
    `CREATE TABLE sh0042.keyed (id int PRIMARY KEY); CREATE TABLE sh0042.keyless (n int); CREATE TABLE sh0042.odd (j json);
     INSERT INTO sh0042.keyless VALUES (1), (2)`,
  );
  await b.rows("CREATE PUBLICATION dbz FOR ALL TABLES");
  await world.startWorker();
  const refusal = await resultOf(await world.startMove()).then(
    () => "",
    (error: Error) => error.message,
  );
  const remedies = refusal.match(/ALTER TABLE \S+ REPLICA IDENTITY FULL/g) ?? [];
  assert.deepEqual(remedies, [
    'ALTER TABLE "sh0042"."keyless" REPLICA IDENTITY FULL',
    'ALTER TABLE "sh0042"."odd" REPLICA IDENTITY FULL',
  ]);
  assert.match(refusal, /publication dbz on .* publishes all tables/);
  for (const remedy of remedies) await a.rows(remedy);
  const handle = await world.startMove({ wait: true });
  await untilPaused(handle);
  await a.rows("UPDATE sh0042.keyless SET n = n + 10");
  await handle.signal("confirm");
  await resultOf(handle);
  await b.rows("UPDATE sh0042.keyless SET n = n + 10");
  assert.deepEqual(await b.rows("SELECT n FROM sh0042.keyless ORDER BY n"), [{ n: 21 }, { n: 22 }]);
});
