import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { cleanup, findLeftovers } from "../../src/operations/cleanup.ts";
import { Session } from "../../src/worker/session.ts";
import { expectNoLeftovers, listLeftovers } from "../support/index.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  resultOf,
  untilPaused,
  type World,
} from "../support/world.ts";
import { schemasOf, settingsOf } from "./islands.ts";

const SHARD = `CREATE TABLE sh0042.t (id int PRIMARY KEY); INSERT INTO sh0042.t VALUES (1);
  CREATE TABLE sh0042.keyless (n int)`;

/** Settings of the world's islands and Temporal, and a session. */
async function openSession({ a, b, temporal }: World, namespace = temporal.namespace) {
  const env = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: namespace };
  const settings = await settingsOf([a, b], env);
  return { settings, session: await Session.open(settings, () => undefined) };
}

/** A move whose worker dies when the shard has left its source and has not arrived yet. */
async function dieBetweenCommits() {
  const world = await createWorld();
  await createShard(world.a, 42, SHARD);
  const worker = await world.startWorker({ fault: "after commit source" });
  const handle = await world.startMove();
  await worker.reached("after commit source");
  return { world, worker, handle };
}

describe("cleanup after workflows", { concurrency: 2, timeout: 240_000 }, () => {
  it("leaves alone everything of a running move, and removes everything of a terminated one", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, SHARD);
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    const { settings, session } = await openSession(world);
    const kinds = ["publication", "slot", "half-made copy", "subscription"].sort();
    const running = await findLeftovers(settings, session);
    assert.deepEqual(running.map(({ kind }) => kind).sort(), kinds);
    for (const { kept, workflowId } of running) {
      assert.match(kept!, /^move-sh0042 is running/);
      assert.equal(workflowId, "move-sh0042");
    }
    assert.deepEqual(await cleanup(settings, session, running), { dropped: [], failed: [] });
    // Without a Temporal to ask, or with one that does not know the run: it is in use, so it belongs to somebody.
    for (const { kept, name } of await findLeftovers(settings, null))
      assert.match(kept!, /in use, and there is no Temporal to ask/, name);

    const identity = (): Promise<unknown> =>
      a.rows("SELECT relreplident FROM pg_class WHERE oid = 'sh0042.keyless'::regclass");
    assert.deepEqual(await identity(), [{ relreplident: "f" }]);
    await handle.terminate();
    const dead = await findLeftovers(settings, session);
    assert.deepEqual(
      dead.map(({ kind, kept }) => `${kind} ${kept}`).sort(),
      kinds.map((kind) => `${kind} null`),
    );
    for (const { since } of dead) assert.ok(Date.now() - Date.parse(since!) < 240_000);
    const { dropped, failed } = await cleanup(settings, session, dead);
    assert.deepEqual([dropped.length, failed], [4, []]);
    await expectNoLeftovers(a, b);
    assert.deepEqual(await identity(), [{ relreplident: "d" }]);
    assert.deepEqual([await schemasOf(a), await schemasOf(b)], [["sh0042"], []]);
    assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
    const { leftover } = await resultOf(await world.startMove());
    assert.deepEqual(await schemasOf(a), [leftover]);
    await session.close();
  });

  it("leaves alone an old copy until its move has ended, and knows which one it was", async () => {
    const world = await createWorld();
    const { a } = world;
    await createShard(a, 42, SHARD);
    const worker = await world.startWorker({ fault: "before clean up", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before clean up");
    const { settings, session } = await openSession(world);
    const before = await findLeftovers(settings, session);
    assert.ok(before.some(({ kind }) => kind === "old copy"));
    for (const { kept } of before) assert.match(kept!, /^move-sh0042 is running/);
    worker.goOn();
    const { leftover } = await resultOf(handle);
    const [old, ...more] = await findLeftovers(settings, session);
    assert.deepEqual(
      [more, old!.name, old!.workflowId, old!.schema, old!.kept],
      [[], leftover, "move-sh0042", "sh0042", null],
    );
    // With only one island, Temporal tells that the shard has arrived elsewhere; without it, nobody does.
    const alone = await settingsOf([a]);
    assert.equal((await findLeftovers(alone, session))[0]!.kept, null);
    assert.match((await findLeftovers(alone, null))[0]!.kept!, /only copy \(--dsns has to include/);
    const { dropped } = await cleanup(settings, session, [old!]);
    assert.equal(dropped.length, 1);
    assert.deepEqual(await schemasOf(a), []);
    await session.close();
  });

  it("never drops either side of a switch that was terminated between its two commits", async () => {
    const { world, handle } = await dieBetweenCommits();
    const { a, b } = world;
    await handle.terminate();
    assert.deepEqual(await activePlaces("sh0042", a, b), []);
    const { settings, session } = await openSession(world);
    const schemas = [await schemasOf(a), await schemasOf(b)];
    for (const islands of [[a, b], [a], [b]]) {
      const found = (await findLeftovers(await settingsOf(islands), session)).filter(
        ({ bytes }) => bytes !== null,
      );
      const copies = found.filter(({ kind }) => /copy/.test(kind));
      assert.equal(copies.length, islands.length);
      for (const { kept } of copies) assert.match(kept!, /only copy|switch is not finished/);
    }
    const found = await findLeftovers(settings, session);
    const { failed } = await cleanup(
      settings,
      session,
      found.filter(({ kind }) => /copy/.test(kind)),
    );
    assert.deepEqual(failed, []);
    assert.deepEqual([await schemasOf(a), await schemasOf(b)], schemas);
    assert.ok((await listLeftovers(b)).length > 0);
    await session.close();
  });

  it("leaves alone both sides of a switch whose worker died between its two commits, and a worker finishes it", async () => {
    const { world, worker, handle } = await dieBetweenCommits();
    const { a, b } = world;
    await worker.gone();
    assert.deepEqual(await activePlaces("sh0042", a, b), []);
    const { settings, session } = await openSession(world);
    const schemas = [await schemasOf(a), await schemasOf(b)];
    // Even if Temporal cannot be asked, or another one is asked: then nothing shows that the move is still running.
    const elsewhere = await openSession(world, "default");
    for (const asking of [session, null, elsewhere.session]) {
      const found = await findLeftovers(settings, asking);
      const copies = found.filter(({ kind }) => /copy/.test(kind));
      assert.equal(copies.length, 2);
      for (const { kept } of copies) assert.ok(kept !== null);
      await cleanup(settings, asking, copies);
      assert.deepEqual([await schemasOf(a), await schemasOf(b)], schemas);
    }
    await world.startWorker();
    const { leftover } = await resultOf(handle);
    assert.deepEqual(await activePlaces("sh0042", a, b), [b.name]);
    assert.deepEqual(await b.rows("SELECT id FROM sh0042.t"), [{ id: 1 }]);
    const [old, ...more] = await findLeftovers(settings, session);
    assert.deepEqual([more, old!.name, old!.kept], [[], leftover, null]);
    await Promise.all([session.close(), elsewhere.session.close()]);
  });
});
