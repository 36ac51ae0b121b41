import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Progress } from "../../contract/story.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { behind, Proxy, testIslands, waitFor } from "../support/index.ts";
import { resultOf } from "../support/world.ts";
import { createMigrateWorld, type MigrateWorld } from "./world.ts";

/** Milliseconds within which a migration ends although an island no longer answers. */
const END_MS = 20_000;

describe("a migration with an island whose host swallows packets", { timeout: 120_000 }, () => {
  let network: Proxy;
  let world: MigrateWorld;
  before(async () => {
    const { a, b } = await testIslands();
    network = await Proxy.start(b);
    world = await createMigrateWorld([a, behind(network, b), a]);
  });

  const leases = (island: number): Promise<unknown[]> =>
    world.islands[island]!.rows("SELECT * FROM microsharding.microsharding_leases_");

  it("releases the shards of the others at once, says what it could not do, and ends", async () => {
    const [first, silent, third] = world.islands;
    const worker = await world.startWorker("before release shards", "hold");
    const handle = await world.start("silent", "ALTER TABLE ledger ADD COLUMN silent int");
    await worker.reached("before release shards");
    network.swallow();
    const since = Date.now();
    worker.goOn();
    await waitFor(async () => (await leases(0)).length + (await leases(2)).length === 0, {
      what: `the leases on ${first!.name} and ${third!.name} to be released`,
      timeout: 2500,
    });
    await resultOf(handle);
    assert.ok(Date.now() - since < END_MS, `it took ${Date.now() - since} ms`);
    const { events } = await handle.query<Progress>(progressQuery);
    assert.match(
      events.at(-1)!.text,
      new RegExp(`^moves can begin again; FAILED: leases on .*${silent!.name}: .*is not responding`),
    );

    network.mend();
    await resultOf(await world.start("mended", "ALTER TABLE ledger ADD COLUMN mended int"));
    for (const name of ["silent", "mended"]) assert.equal(await world.expectAllOrNone(name, name), "all");
  });
});
