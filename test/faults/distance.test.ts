import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { behind, Proxy, testIslands } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import type { Trips } from "../support/trips.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  resultOf,
  untilPaused,
  type World,
} from "../support/world.ts";

/** A round trip between the worker and an island, as between two regions, in milliseconds. */
const ROUND_TRIP_MS = 200;

/** A world whose islands are reached through proxies. */
async function distantWorld(): Promise<{ world: World; proxies: Proxy[] }> {
  const { a, b } = await testIslands();
  const proxies = [await Proxy.start(a), await Proxy.start(b)];
  for (const proxy of proxies) proxy.noteTrips();
  const world = await createWorld({ servers: { a: behind(proxies[0]!, a), b: behind(proxies[1]!, b) } });
  return { world, proxies };
}

/** What a session is sent to keep its transaction alive, on a busy machine. */
const SIGN_OF_LIFE = "SELECT\0";

/** The most round trips of one session in a period, except signs of life. */
function most({ all }: Trips, from: number, until: number): number {
  const bySession = new Map<number, number>();
  for (const { session, text, askedAt } of all)
    if (askedAt >= from && askedAt < until && text !== SIGN_OF_LIFE)
      bySession.set(session, (bySession.get(session) ?? 0) + 1);
  return Math.max(...bySession.values());
}

describe("a worker far away from its islands", { timeout: 300_000 }, () => {
  it("blocks writers for four round trips", async () => {
    const { world, proxies } = await distantWorld();
    await createShard(
      world.a,
      42,
      `${Ledger.tableSql("sh0042")}; INSERT INTO sh0042.ledger (op) VALUES ('once');
       CREATE TABLE sh0042.other (id serial PRIMARY KEY); CREATE SEQUENCE sh0042.ids`,
    );
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    for (const proxy of proxies) proxy.delay(ROUND_TRIP_MS / 2);
    await handle.signal("confirm");
    const { writeBlocked } = await resultOf(handle);
    for (const proxy of proxies) proxy.delay(0);
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
    assert.equal(writeBlocked.attempts, 1);

    const [source, destination] = proxies.map((proxy) => proxy.noteTrips()) as [Trips, Trips];
    const from = source.find("IN EXCLUSIVE MODE")!.askedAt;
    const until = destination.find("COMMIT", from)!.answeredAt!;
    // Lock, leave and commit; begin, complete and commit.
    for (const trips of [source, destination]) assert.equal(most(trips, from, until), 3);
    // With 16 round trips, as it once was, it would be twice that.
    assert.ok(writeBlocked.totalMs < 8 * ROUND_TRIP_MS, `${writeBlocked.totalMs} ms`);
  });
});
