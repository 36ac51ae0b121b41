import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Progress } from "../../workflows/contract.ts";
import { progressQuery } from "../../workflows/messages.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import { activePlaces, createWorld, resultOf, type World } from "../support/world.ts";
import { expectSound, loadedShard } from "./shard.ts";

const CHANGES = {
  "ALTER TABLE … ADD COLUMN": "ALTER TABLE sh0042.ledger ADD COLUMN more text DEFAULT 'x'",
  "CREATE TABLE": "CREATE TABLE sh0042.another (id int PRIMARY KEY)",
  "a new partition": "CREATE TABLE sh0042.events_2 PARTITION OF sh0042.events FOR VALUES FROM (10) TO (20)",
  "CREATE INDEX": "CREATE INDEX ON sh0042.ledger (op)",
  "a dropped table": "DROP TABLE sh0042.large",
};

/** Asserts that the move has ended because of the DDL, and that nothing of it is left. */
async function expectUndone(world: World, handle: { result(): Promise<unknown> }): Promise<void> {
  const { a, b } = world;
  await assert.rejects(
    resultOf(handle),
    /structure of schema "sh0042" on .* was changed during the move \(DDL\)/,
  );
  assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
  assert.deepEqual(await b.rows("SELECT FROM pg_namespace WHERE nspname LIKE 'sh0042%'"), []);
  const [keyless] = await a.rows("SELECT relreplident FROM pg_class WHERE oid = 'sh0042.keyless'::regclass");
  assert.deepEqual(keyless, { relreplident: "d" });
  await expectNoLeftovers(a, b);
}

describe("DDL on the source in the middle of a move", { concurrency: 3, timeout: 300_000 }, () => {
  for (const [what, sql] of Object.entries(CHANGES)) {
    it(`ends it with the reason, and everything is undone: ${what}, while it waits for its confirmation`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      await world.a.rows("CREATE TABLE sh0042.events (id int) PARTITION BY RANGE (id)");
      await world.startWorker();
      const handle = await world.startMove({ wait: true });
      await waitFor(async () => (await handle.query<Progress>(progressQuery)).phase === "paused", {
        what: "the pause before the switch",
      });
      await world.a.rows(sql);
      await handle.signal("confirm");
      await expectUndone(world, handle);
      await expectSound(ledger);
    });
  }

  it("ends it also when the destination can no longer apply the changes (P56)", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const worker = await world.startWorker({ fault: "before wait for lag", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before wait for lag");
    await world.a.rows("ALTER TABLE sh0042.ledger ADD COLUMN more text DEFAULT 'x'");
    worker.goOn();
    await expectUndone(world, handle);
    await expectSound(ledger);
  });
});
