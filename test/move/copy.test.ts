import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { ident } from "../../src/postgres/quote.ts";
import { abortSignal, confirmSignal } from "../../workflows/signals.ts";
import { catalogsOf } from "../faults/catalogs.ts";
import { createDatabase, expectNoLeftovers, testIslands } from "../support/index.ts";
import { createWorld, resultOf, untilPaused, type World } from "../support/world.ts";

const SCHEMA = `We"ird; 'schema' %s $1 Ünï--`;
const NAME = ident(SCHEMA);

/** Two databases of the same server, one with a schema of such a name. */
async function createCopyWorld(withApi: boolean, fault?: FaultPoint): Promise<World> {
  const { a: server } = await testIslands();
  const [a, b] = withApi
    ? [undefined, undefined]
    : [await createDatabase(server), await createDatabase(server)];
  const world = await createWorld(a && b ? { islands: { a, b } } : { servers: { a: server, b: server } });
  await world.a.rows(`
    CREATE SCHEMA ${NAME};
    CREATE TABLE ${NAME}."Table" (id serial PRIMARY KEY, "User" text);
    CREATE TABLE ${NAME}.keyless (n int);
    CREATE SEQUENCE ${NAME}."Down" INCREMENT -5;
    CREATE VIEW ${NAME}.v AS SELECT count(*) FROM ${NAME}."Table";
    INSERT INTO ${NAME}."Table" ("User") SELECT 'a' FROM generate_series(1, 100);
    INSERT INTO ${NAME}.keyless SELECT generate_series(1, 100);
    COMMENT ON SCHEMA ${NAME} IS 'of somebody'`);
  const worker = await world.startWorker(fault ? { fault } : {});
  if (fault) void worker.gone().then(() => world.startWorker());
  return world;
}

describe("a copy within one server", { concurrency: 2, timeout: 600_000 }, () => {
  for (const copyMethod of ["direct", "tablesync"] as const) {
    it(`brings rows and sequences as they are when it is confirmed, and leaves the source alone (${copyMethod})`, async () => {
      const world = await createCopyWorld(false);
      const { a, b } = world;
      const identities = (): Promise<unknown> =>
        a.rows("SELECT relname, relreplident FROM pg_class WHERE relname IN ('Table', 'keyless') ORDER BY 1");
      const before = await identities();
      const handle = await world.startCopy({ schema: SCHEMA, wait: true, copyMethod });
      const { waitingFor, step } = await untilPaused(handle);
      assert.equal(step, "wait for confirmation");
      assert.match(waitingFor!, /you can now stop the writes on the source and reroute them/);
      // Writes continue during the pause, including those with values from a sequence.
      await a.rows(`INSERT INTO ${NAME}."Table" ("User") SELECT 'b' FROM generate_series(1, 11)`);
      await a.rows(`DELETE FROM ${NAME}.keyless WHERE n > 50`);
      await a.rows(`SELECT nextval('${NAME.replaceAll("'", "''")}."Down"') FROM generate_series(1, 3)`);
      await handle.signal(confirmSignal);
      const { rows } = await resultOf(handle);
      assert.equal(rows, 200);
      const counts = `SELECT (SELECT count(*)::int FROM ${NAME}."Table") AS rows, (SELECT count(*)::int FROM ${NAME}.keyless) AS left`;
      assert.deepEqual(await b.rows(counts), [{ rows: 111, left: 50 }]);
      const next = `INSERT INTO ${NAME}."Table" DEFAULT VALUES RETURNING id, nextval('${NAME.replaceAll("'", "''")}."Down"')::int AS down`;
      assert.deepEqual(await b.rows(next), [{ id: 112, down: -16 }]);
      assert.deepEqual(await a.rows(next), [{ id: 112, down: -16 }]);
      assert.deepEqual(
        await b.rows(
          "SELECT obj_description(oid, 'pg_namespace') AS text FROM pg_namespace WHERE nspname = $1",
          [SCHEMA],
        ),
        [{ text: "of somebody" }],
      );
      assert.deepEqual(await identities(), before);
      await expectNoLeftovers(a, b);
    });
  }

  it("leaves nothing behind when it is aborted in its pause", async () => {
    const world = await createCopyWorld(true);
    const { a, b } = world;
    const before = [await catalogsOf(a), await catalogsOf(b)];
    const handle = await world.startCopy({ schema: SCHEMA, wait: true });
    await untilPaused(handle);
    assert.notDeepEqual(await catalogsOf(b), before[1]);
    await handle.signal(abortSignal);
    await assert.rejects(resultOf(handle), /aborted; the source is as it was/);
    assert.deepEqual([await catalogsOf(a), await catalogsOf(b)], before);
    await expectNoLeftovers(a, b);
  });

  it("fails when somebody has dropped it in its pause, and leaves nothing behind", async () => {
    const world = await createCopyWorld(true);
    const { a, b } = world;
    const before = [await catalogsOf(a), await catalogsOf(b)];
    const handle = await world.startCopy({ schema: SCHEMA, wait: true });
    await untilPaused(handle);
    await b.rows(`DROP SCHEMA ${NAME} CASCADE`);
    await handle.signal(confirmSignal);
    await assert.rejects(resultOf(handle), /was dropped or replaced by somebody; run the move again/);
    assert.deepEqual([await catalogsOf(a), await catalogsOf(b)], before);
    await expectNoLeftovers(a, b);
  });

  it("is complete even if the worker dies at the end, before it has reported that", async () => {
    const world = await createCopyWorld(true, "after finish copy");
    const { a, b } = world;
    await resultOf(await world.startCopy({ schema: SCHEMA }));
    assert.deepEqual(await b.rows(`SELECT count(*)::int FROM ${NAME}."Table"`), [{ count: 100 }]);
    await expectNoLeftovers(a, b);
  });
});
