import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { waitFor } from "../support/index.ts";
import { Ledger, type LedgerResult } from "../support/ledger.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  goOnWhenAsked,
  reportsOf,
  resultOf,
  waitingFor,
  type World,
} from "../support/world.ts";
import { catalogsOf } from "./catalogs.ts";
import { contentBefore, expectLeftCopy, expectSound, expectUntouched, loadedShard } from "./shard.ts";

const REHEARSAL = { activateOnDestination: false, rehearseSwitch: true };

/** The last point under the lock that a rehearsal reaches: the shard has all but left. */
const LAST_POINT = "after leave source";

/** Milliseconds for which the lock is held; a session that holds it is ended after 2 s without a sign of life. */
const HELD_MS = 500;
/** Milliseconds within which writers have to be free after the holder of the lock has died. */
const FREE_MS = 5000;

/** A shard with writers, and what it is like before its switch is rehearsed. */
async function loadedWorld() {
  const world = await createWorld();
  const ledger = await loadedShard(world, { rate: 100 });
  const [content, catalogs] = [await contentBefore(world), await catalogsOf(world.a)];
  return { world, ledger, before: { content, catalogs } };
}

/** Asserts that writers continue on the source, which is as before, and that nothing is left but the copy. */
async function expectRehearsed(
  world: World,
  ledger: Ledger,
  leftover: string | null,
  before: { content: object; catalogs: string[] },
): Promise<LedgerResult> {
  await ledger.nextWrite();
  const result = await expectSound(ledger);
  assert.equal(result.rediscoveries, 0, "a writer did not find the shard");
  await expectLeftCopy(world, leftover, before.content);
  assert.deepEqual(await catalogsOf(world.a), before.catalogs);
  return result;
}

/** What the source's history has of the only operation. */
async function historyOf({ a }: World): Promise<Record<string, unknown>> {
  const rows = await a.rows("SELECT * FROM microsharding.microsharding_history_");
  assert.equal(rows.length, 1);
  return rows[0] as Record<string, unknown>;
}

describe("the rehearsal of a switch", { concurrency: 2, timeout: 300_000 }, () => {
  it("blocks writers for the time that it tells, and lets go: the shard stays, and its copy is complete", async () => {
    const { world, ledger, before } = await loadedWorld();
    const worker = await world.startWorker({ fault: LAST_POINT, mode: "hold" });
    const handle = await world.startMove({ ...REHEARSAL, maxWriteBlockMs: 60_000 });
    await worker.reached(LAST_POINT);
    ledger.takeLongestGap();
    const since = performance.now();
    const held = (): number => performance.now() - since;
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
    await waitFor(() => held() >= HELD_MS && ledger.takeLongestGap() >= HELD_MS, { what: "blocked writers" });
    const atLeast = held();
    worker.goOn();
    const { activated, leftover, writeBlocked, blockers, durationMs } = await resultOf(handle);
    assert.equal(activated, false);
    assert.ok(Array.isArray(blockers));
    assert.ok(writeBlocked.attempts >= 1);
    const { longestMs, totalMs } = writeBlocked;
    assert.ok(longestMs >= atLeast && longestMs <= durationMs, `${longestMs} ms, held for ${atLeast} ms`);
    assert.ok(totalMs >= longestMs);
    const { kind, outcome, blocked_longest_ms } = await historyOf(world);
    assert.deepEqual([kind, outcome, blocked_longest_ms], ["rehearsal", "rehearsed", longestMs]);
    await expectRehearsed(world, ledger, leftover, before);
  });

  it("names a session that is in the way, waits for it, and does not end it", async () => {
    const world = await createWorld();
    await createShard(world.a, 42, Ledger.tableSql("sh0042"));
    const worker = await world.startWorker({ fault: "before rehearse switch", mode: "hold" });
    const handle = await world.startMove(REHEARSAL);
    await worker.reached("before rehearse switch");
    const statement = "INSERT INTO sh0042.ledger (op) VALUES ('blocker')";
    const pid = await world.a.withClient(async (blocker) => {
      const { rows } = await blocker.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      await blocker.query("BEGIN");
      await blocker.query(statement);
      worker.goOn();
      const named = async (): Promise<boolean> =>
        (await waitingFor(handle))?.includes(`pid ${rows[0]!.pid} `) === true;
      await waitFor(named, { what: "the blocker to be named", timeout: 60_000 });
      const again = async (): Promise<boolean> =>
        (await reportsOf(handle)).some(({ details }) => (details.blocked?.attempts ?? 0) >= 2);
      await waitFor(again, { what: "a second attempt", timeout: 60_000 });
      await blocker.query("COMMIT");
      return rows[0]!.pid;
    });
    const { blockers, endedBlockers, writeBlocked } = await resultOf(handle);
    const { from } = world.input();
    const blocker = blockers!.find(({ who }) => who.startsWith(`pid ${pid} postgres`));
    assert.ok(blocker, JSON.stringify(blockers));
    assert.ok(blocker.who.includes(` on ${from}, idle in transaction for `), blocker.who);
    assert.equal(blocker.statement, statement);
    assert.deepEqual(endedBlockers, []);
    assert.ok(writeBlocked.attempts >= 3, JSON.stringify(writeBlocked));
    const { reason_code, reason } = await historyOf(world);
    assert.equal(reason_code, "in_the_way");
    assert.match(reason as string, new RegExp(`pid ${pid} postgres`));
    assert.doesNotMatch(reason as string, /INSERT/);
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
  });

  it("is repeated when its worker dies under the lock: writers are free at once", async () => {
    const { world, ledger, before } = await loadedWorld();
    const worker = await world.startWorker({ fault: LAST_POINT });
    const handle = await world.startMove(REHEARSAL);
    await worker.reached(LAST_POINT);
    await worker.gone();
    assert.ok((await ledger.nextWrite()) < FREE_MS, "writers stayed blocked");
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
    await world.startWorker();
    const { activated, leftover, writeBlocked } = await resultOf(handle);
    assert.deepEqual([activated, writeBlocked.atMost], [false, true]);
    assert.ok(writeBlocked.attempts >= 2, JSON.stringify(writeBlocked));
    await expectRehearsed(world, ledger, leftover, before);
  });

  it("is undone by an abort like any other rehearsal, even under the lock", async () => {
    const { world, ledger, before } = await loadedWorld();
    const worker = await world.startWorker({ fault: LAST_POINT, mode: "hold" });
    const handle = await world.startMove(REHEARSAL);
    await worker.reached(LAST_POINT);
    await handle.signal("abort");
    await goOnWhenAsked(worker, handle);
    await assert.rejects(resultOf(handle), /aborted; the source is as it was, nothing is left behind/);
    await expectSound(ledger);
    await expectUntouched(world, before.content);
    assert.deepEqual(await catalogsOf(world.a), before.catalogs);
  });
});
