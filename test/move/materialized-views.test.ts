import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client } from "pg";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { expectNoLeftovers, type TestDatabase, waitFor } from "../support/index.ts";
import { createShard, createWorld, resultOf, untilPaused, waitingFor } from "../support/world.ts";

/** Materialized views over tables that are replicated, and over tables that are copied under the lock. */
const SHARD = `
  CREATE TABLE sh0042.t (id int PRIMARY KEY); INSERT INTO sh0042.t VALUES (1);
  CREATE UNLOGGED TABLE sh0042.u (id int); INSERT INTO sh0042.u VALUES (1);
  CREATE TABLE sh0042.parent (j json) ; CREATE TABLE sh0042.child () INHERITS (sh0042.parent); INSERT INTO sh0042.child VALUES ('{}');
  CREATE FUNCTION sh0042.count_u() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM sh0042.u';
  CREATE FUNCTION sh0042.relying() RETURNS bigint LANGUAGE sql SET search_path = sh0042 AS 'SELECT count(*) FROM u';
  CREATE MATERIALIZED VIEW sh0042.refreshed AS SELECT count(*) AS n FROM sh0042.t;
  CREATE MATERIALIZED VIEW sh0042.concurrently AS SELECT id AS n FROM sh0042.t; CREATE UNIQUE INDEX ON sh0042.concurrently (n);
  CREATE MATERIALIZED VIEW sh0042.emptied AS SELECT id AS n FROM sh0042.t;
  CREATE MATERIALIZED VIEW sh0042.filled AS SELECT id AS n FROM sh0042.t WITH NO DATA;
  CREATE MATERIALIZED VIEW sh0042.never AS SELECT id AS n FROM sh0042.u WITH NO DATA;
  CREATE MATERIALIZED VIEW sh0042.z_of_u AS SELECT id AS n FROM sh0042.u;
  CREATE VIEW sh0042.between AS SELECT n FROM sh0042.z_of_u;
  CREATE MATERIALIZED VIEW sh0042.a_nested AS SELECT sum(n) AS n FROM sh0042.between;
  CREATE MATERIALIZED VIEW sh0042.of_parent AS SELECT count(*) AS n FROM sh0042.parent;
  CREATE MATERIALIZED VIEW sh0042.of_function AS SELECT sh0042.count_u() AS n;
  CREATE MATERIALIZED VIEW sh0042.of_relying AS SELECT sh0042.relying() AS n;
  COMMENT ON MATERIALIZED VIEW sh0042.refreshed IS 'it''s refreshed'`;

const REFRESH = `
  INSERT INTO sh0042.t VALUES (2);
  REFRESH MATERIALIZED VIEW sh0042.refreshed;
  REFRESH MATERIALIZED VIEW CONCURRENTLY sh0042.concurrently;
  REFRESH MATERIALIZED VIEW sh0042.emptied WITH NO DATA;
  REFRESH MATERIALIZED VIEW sh0042.filled`;

/** What each materialized view shows; null for one that is not populated. */
async function shown(database: TestDatabase, schema: string): Promise<Record<string, unknown>> {
  const views = await database.rows<{ name: string; populated: boolean }>(
    "SELECT matviewname AS name, ispopulated AS populated FROM pg_matviews WHERE schemaname = $1 ORDER BY 1",
    [schema],
  );
  const contents: Record<string, unknown> = {};
  for (const { name, populated } of views)
    contents[name] = populated
      ? (await database.rows(`SELECT n::int FROM ${schema}.${name} ORDER BY 1`)).map(({ n }) => n)
      : null;
  return contents;
}

const EXPECTED = {
  a_nested: [1],
  concurrently: [1, 2],
  emptied: null,
  filled: [1, 2],
  never: null,
  of_function: [1],
  of_parent: [1],
  of_relying: [1],
  refreshed: [2],
  z_of_u: [1],
};

describe("what the materialized views of the source show", { concurrency: 2, timeout: 240_000 }, () => {
  it("at the switch is what arrives", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, SHARD);
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    await a.rows(REFRESH);
    await handle.signal("confirm");
    const { leftover } = await resultOf(handle);
    assert.deepEqual(await shown(a, leftover!), EXPECTED);
    assert.deepEqual(await shown(b, "sh0042"), EXPECTED);
    assert.deepEqual(
      await b.rows("SELECT obj_description('sh0042.refreshed'::regclass, 'pg_class') AS comment"),
      [{ comment: "it's refreshed" }],
    );
    await expectNoLeftovers(a, b);
  });

  it("arrives with a copy, too", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, SHARD);
    await world.startWorker();
    const handle = await world.startCopy({ wait: true });
    await untilPaused(handle);
    await a.rows(REFRESH);
    await handle.signal("confirm");
    await resultOf(handle);
    assert.deepEqual(await shown(b, "sh0042"), EXPECTED);
  });

  it("arrives if a REFRESH is under way when the switch begins, which waits for it", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, SHARD);
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    const application = new Client({ connectionString: a.dsn });
    await application.connect();
    await application.query("BEGIN; REFRESH MATERIALIZED VIEW sh0042.refreshed");
    await a.rows("INSERT INTO sh0042.t VALUES (2)");
    await handle.signal("confirm");
    const waits = async (): Promise<boolean> => Boolean((await waitingFor(handle))?.includes("pid"));
    await waitFor(waits, { what: "the switch to wait for the REFRESH" });
    await application.query("REFRESH MATERIALIZED VIEW sh0042.refreshed; COMMIT");
    await application.end();
    const { leftover } = await resultOf(handle);
    assert.deepEqual(await shown(a, leftover!), await shown(b, "sh0042"));
    assert.deepEqual((await shown(b, "sh0042"))["refreshed"], [2]);
  });

  it("arrives if the worker dies between the two commits of the switch", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, SHARD);
    const point: FaultPoint = "after commit source";
    const worker = await world.startWorker({ fault: point });
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    await a.rows(REFRESH);
    await handle.signal("confirm");
    await worker.reached(point);
    await worker.gone();
    await world.startWorker();
    await resultOf(handle);
    assert.deepEqual(await shown(b, "sh0042"), EXPECTED);
  });
});
