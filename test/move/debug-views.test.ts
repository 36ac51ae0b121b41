import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { Progress } from "../../contract/story.ts";
import { dropSchema } from "../../src/postgres/schema/drop-schema.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { catalogsOf } from "../faults/catalogs.ts";
import { type TestDatabase } from "../support/index.ts";
import { createShard, createWorld, resultOf, untilPaused, type World } from "../support/world.ts";

/** Shard 7 and shard 42, which moves, on the first island, shard 9 on the second; each with one user. */
async function createShards({ a, b }: World): Promise<void> {
  for (const [database, shard] of [
    [a, 7],
    [a, 42],
    [b, 9],
  ] as const) {
    const schema = `sh${String(shard).padStart(4, "0")}`;
    await createShard(
      database,
      shard,
      `CREATE TYPE ${schema}.mood AS ENUM ('good'); CREATE TABLE ${schema}.users (id int PRIMARY KEY, m ${schema}.mood);
       INSERT INTO ${schema}.users VALUES (${shard}, 'good')`,
    );
  }
}

/** Builds the debug views; given another island, also over its shards. */
async function buildViews(database: TestDatabase, other?: TestDatabase): Promise<void> {
  await database.withClient(async (client) => {
    if (other) {
      const { user, password } = other.server;
      await client.query(
        "SELECT set_config('microsharding.fdw_user', $1, false), set_config('microsharding.fdw_password', $2, false)",
        [user, password],
      );
    }
    const host = other && `${other.server.host}:${other.server.port}/${other.name}`;
    await client.query("SELECT microsharding.microsharding_migration_after($1)", [host ?? null]);
  });
}

/** The users that the debug view shows, with their shards. */
const shown = async (database: TestDatabase): Promise<string[]> =>
  (
    await database.rows<{ user: string }>(`SELECT shard || ' ' || id AS user FROM public.users ORDER BY 1`)
  ).map(({ user }) => user);

const dropCopy = (database: TestDatabase, schema: string): Promise<void> =>
  database.withClient((client) =>
    dropSchema(client, schema, {
      island: "here",
      patience: { pause: () => sleep(20), beat: () => undefined },
      lend: (use) => database.withClient(use),
    }),
  );

describe("the debug views", { concurrency: 2, timeout: 600_000 }, () => {
  it("of both islands never show the old copy, are up to date after a move, and let the old copy be dropped", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShards(world);
    await Promise.all([buildViews(a), buildViews(b)]);
    // The columns of the view stay the same, so what somebody has built on it stays as well.
    await a.rows("CREATE VIEW public.report AS SELECT shard, id FROM public.users");
    const worker = await world.startWorker({ fault: "before clean up", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before clean up");
    assert.deepEqual(await shown(a), ["sh0007 7"]);
    worker.goOn();
    const { leftover } = await resultOf(handle);
    assert.deepEqual(await shown(a), ["sh0007 7"]);
    assert.deepEqual(await shown(b), ["sh0009 9", "sh0042 42"]);
    await dropCopy(a, leftover!);
    assert.equal((await a.rows("SELECT FROM public.report")).length, 1);
  });

  it("over several islands are up to date on both islands after a move", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShards(world);
    await buildViews(a, b);
    await buildViews(b, a);
    const everything = ["sh0007 7", "sh0009 9", "sh0042 42"];
    assert.deepEqual([await shown(a), await shown(b)], [everything, everything]);
    const worker = await world.startWorker({ fault: "before clean up", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before clean up");
    assert.deepEqual(await shown(a), ["sh0007 7", "sh0009 9"]);
    worker.goOn();
    const { leftover } = await resultOf(handle);
    assert.deepEqual([await shown(a), await shown(b)], [everything, everything]);
    await b.rows("INSERT INTO sh0042.users VALUES (43)");
    assert.deepEqual(await shown(a), [...everything, "sh0042 43"]);
    await dropCopy(a, leftover!);
  });

  it("are unchanged after an aborted move and after a rehearsal", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShards(world);
    await buildViews(a, b);
    await buildViews(b, a);
    const before = [await catalogsOf(a), await catalogsOf(b)];
    await world.startWorker();
    const aborted = await world.startMove({ wait: true });
    await untilPaused(aborted);
    await aborted.signal("abort");
    await assert.rejects(resultOf(aborted));
    assert.deepEqual([await catalogsOf(a), await catalogsOf(b)], before);
    const { leftover } = await resultOf(await world.startMove({ activateOnDestination: false }));
    assert.deepEqual(await shown(b), ["sh0007 7", "sh0009 9", "sh0042 42"]);
    await dropCopy(b, leftover!);
    assert.deepEqual([await catalogsOf(a), await catalogsOf(b)], before);
  });

  it("that somebody reads for a long time do not hold up the end of a move, which says so", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShards(world);
    await Promise.all([buildViews(a), buildViews(b)]);
    await world.startWorker();
    await a.withClient(async (reader) => {
      await reader.query("BEGIN; SELECT FROM public.users");
      const handle = await world.startMove();
      await resultOf(handle);
      const { events } = await handle.query<Progress>(progressQuery);
      assert.match(events.at(-1)!.text, /debug views of .* are not up to date.*SELECT FROM public\.users/);
      assert.deepEqual(await shown(a), ["sh0007 7"]);
      assert.deepEqual(await shown(b), ["sh0009 9", "sh0042 42"]);
    });
  });
});
