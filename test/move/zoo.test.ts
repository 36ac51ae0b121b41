import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import type { CopyMethod } from "../../contract/move.ts";
import type { Progress } from "../../contract/story.ts";
import { confirmSignal, progressQuery } from "../../workflows/signals.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import type { WorkerProcess } from "../support/worker.ts";
import { activePlaces, createWorld, resultOf, type World } from "../support/world.ts";
import { createZoo, type ZooOptions } from "../support/zoo.ts";
import {
  contentDifferences,
  ddlDifferences,
  ddlOf,
  type Place,
  rowsOf,
  sequencesOf,
} from "../support/zoo-compare.ts";
import { whileWriting } from "../support/zoo-writers.ts";

const SCHEMA = "sh0042";

interface ZooWorld {
  world: World;
  worker: WorkerProcess;
  shard: Place;
  /** What pg_dump writes for the shard. */
  ddl: string[];
}

async function createZooWorld(options: ZooOptions & { fault?: FaultPoint } = {}): Promise<ZooWorld> {
  const world = await createWorld();
  await createZoo(world.a, world.b, options);
  const worker = await world.startWorker(options.fault ? { fault: options.fault } : {});
  const shard = { database: world.a, schema: options.schema ?? SCHEMA };
  return { world, worker, shard, ddl: await ddlOf(shard, world.a.server.bin) };
}

/** Waits until a workflow is paused before its last step. */
async function paused(handle: { query(query: typeof progressQuery): Promise<Progress> }): Promise<void> {
  const isPaused = async (): Promise<boolean> => (await handle.query(progressQuery)).phase === "paused";
  await waitFor(isPaused, { what: "the pause" }).catch(async (error: unknown) => {
    throw new Error(`the move is not paused: ${JSON.stringify(await handle.query(progressQuery))}`, {
      cause: error,
    });
  });
}

/** Asserts that two schemas contain the same rows, and that the DDL is unchanged, both under the name of the shard. */
async function expectSame(ddl: string[], source: Place, copy: Place): Promise<void> {
  const { bin } = copy.database.server;
  // A schema with any other name keeps that name.
  const as = copy.schema.startsWith(SCHEMA) ? SCHEMA : copy.schema;
  assert.deepEqual(ddlDifferences(ddl, await ddlOf(copy, bin, as)), []);
  const [rows, copied] = [await rowsOf(source, as), await rowsOf(copy, as)];
  assert.deepEqual(contentDifferences(rows, copied), []);
}

describe("a shard with every kind of object", { concurrency: 2 }, () => {
  for (const copyMethod of ["direct", "tablesync"] satisfies CopyMethod[]) {
    it(`every kind of object arrives as it was (${copyMethod})`, async () => {
      const { world, shard, ddl } = await createZooWorld();
      const { a, b } = world;
      const sequences = await sequencesOf(shard);
      const result = await resultOf(await world.startMove({ copyMethod }));
      const moved = { database: b, schema: SCHEMA };
      await expectSame(ddl, { database: a, schema: result.leftover! }, moved);
      assert.deepEqual(contentDifferences(sequences, await sequencesOf(moved)), []);
      await expectNoLeftovers(a, b);
    });

    it(`every table can be written to during the move (${copyMethod})`, async () => {
      const { world, ddl } = await createZooWorld();
      const { a, b } = world;
      const result = await whileWriting(a.dsn, SCHEMA, async () =>
        resultOf(await world.startMove({ copyMethod })),
      );
      await expectSame(ddl, { database: a, schema: result.leftover! }, { database: b, schema: SCHEMA });
      await expectNoLeftovers(a, b);
    });
  }

  it("a rehearsal leaves a full copy, and the source as it was", async () => {
    const { world, shard, ddl } = await createZooWorld();
    const { a, b } = world;
    const handle = await world.startMove({ activateOnDestination: false, wait: true });
    await whileWriting(a.dsn, SCHEMA, () => paused(handle));
    const [rows, sequences] = [await rowsOf(shard), await sequencesOf(shard)];
    await handle.signal(confirmSignal);
    const { leftover, activated } = await resultOf(handle);

    const copy = { database: b, schema: leftover! };
    assert.match(copy.schema, /^sh0042new_\d{14}$/);
    await expectSame(ddl, shard, copy);
    assert.deepEqual(contentDifferences(sequences, await sequencesOf(copy)), []);
    assert.deepEqual(ddlDifferences(ddl, await ddlOf(shard, a.server.bin)), []);
    assert.deepEqual(contentDifferences(rows, await rowsOf(shard)), []);
    assert.deepEqual(contentDifferences(sequences, await sequencesOf(shard)), []);
    assert.equal(activated, false);
    assert.deepEqual(await activePlaces(SCHEMA, a, b), [a.name]);
    await expectNoLeftovers(a, b);
  });

  it("a copy of a schema of any name is complete, and the source as it was", async () => {
    const schema = 'Not a "shard"; % $1';
    const { world, shard, ddl } = await createZooWorld({ schema, shard: null });
    const { a, b } = world;
    const handle = await world.startCopy({ schema, wait: true, copyMethod: "tablesync" });
    await whileWriting(a.dsn, schema, () => paused(handle));
    const sequences = await sequencesOf(shard);
    await handle.signal(confirmSignal);
    await resultOf(handle);

    const copy = { database: b, schema };
    await expectSame(ddl, shard, copy);
    assert.deepEqual(contentDifferences(sequences, await sequencesOf(copy)), []);
    assert.deepEqual(ddlDifferences(ddl, await ddlOf(shard, a.server.bin)), []);
    await expectNoLeftovers(a, b);
  });

  it("indexes and everything after them are built only once, even if that step runs again", async () => {
    const { world, worker, ddl } = await createZooWorld({ fault: "after build indexes" });
    const { a, b } = world;
    const handle = await world.startMove({ validateFks: true });
    const { leftover } = await whileWriting(a.dsn, SCHEMA, async () => {
      await Promise.race([worker.gone(), resultOf(handle)]);
      await world.startWorker();
      return resultOf(handle);
    });
    await expectSame(ddl, { database: a, schema: leftover! }, { database: b, schema: SCHEMA });
    // One that the source itself had not validated, and one that refers to a table that was empty until the switch.
    const unvalidated = await b.rows(
      "SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated AND connamespace = $1::regnamespace ORDER BY 1",
      [SCHEMA],
    );
    assert.deepEqual(unvalidated, [{ conname: "orphan" }, { conname: "refers_to_keyless_a_fkey" }]);
  });
});
