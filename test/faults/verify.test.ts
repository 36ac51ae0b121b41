import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { MoveStep } from "../../activities/move/parts/step.ts";
import { ChangingRowsComparison } from "../../activities/move/switch/changing-rows.ts";
import { Islands } from "../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { abortSignal, confirmSignal, progressQuery } from "../../workflows/signals.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  reportsOf,
  resultOf,
  untilPaused,
  type World,
} from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, LARGE, loadedShard } from "./shard.ts";

/** What can happen to a copy before the switch, and how it is told. */
const TAMPERINGS = {
  "a row that somebody wrote on the destination": [
    "INSERT INTO sh0042.large (id, a) VALUES (-1, 'rogue')",
    /1 row differs:\n +"large", id = -1: on the destination only/,
  ],
  "one of two equal rows that is missing": [
    "DELETE FROM sh0042.keyless WHERE ctid = (SELECT max(ctid) FROM sh0042.keyless WHERE a = 7)",
    /"keyless", the row \(7,x\), which is there 2 times on the source and once on the destination/,
  ],
} as const;

/** Starts a move, and changes the copy when it is about to be compared. */
async function tampered(world: World, sql: string) {
  await world.a.rows("INSERT INTO sh0042.keyless VALUES (7, 'x')");
  const worker = await world.startWorker({ fault: "before verify", mode: "hold" });
  const handle = await world.startMove();
  await worker.reached("before verify");
  await world.b.rows(sql);
  worker.goOn();
  return { handle, progress: await untilPaused(handle) };
}

describe("the rows are compared before the switch", { concurrency: 3, timeout: 300_000 }, () => {
  for (const [what, [sql, told]] of Object.entries(TAMPERINGS))
    it(`${what} stops the move, which is undone by an abort`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world);
      const { handle, progress } = await tampered(world, sql);
      assert.match(progress.differs?.text ?? "", told);
      assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
      await handle.signal(abortSignal);
      await assert.rejects(resultOf(handle), /nothing is left behind/);
      await expectSound(ledger);
      assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
      await expectNoLeftovers(world.a, world.b);
    });

  it("a copy that was mended is compared again on a confirmation, and moves", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const { handle } = await tampered(world, "INSERT INTO sh0042.large (id, a) VALUES (-1, 'rogue')");
    await world.b.rows("DELETE FROM sh0042.large WHERE id = -1");
    await handle.signal(confirmSignal);
    const { verified } = await resultOf(handle);
    assert.equal((await handle.query(progressQuery)).differs, undefined);
    assert.ok(verified!.rows >= 1000, String(verified!.rows));
    await expectSound(ledger);
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
  });

  it("a shard that is written to all the time is the same on both sides", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world, { rows: 20_000, rate: 400 });
    await world.startWorker();
    const { verified } = await resultOf(await world.startMove());
    assert.ok(verified!.rows > 20_000);
    assert.equal(verified!.tables, 3);
    await expectSound(ledger);
  });

  it("the comparison goes on after the death of its worker where it stopped", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world, { rows: LARGE });
    const before = await contentBefore(world);
    // On a busy machine, an attempt may be lost to a heartbeat that came too late.
    const comparedFrom = async (attempt: number): Promise<number> => {
      const [report] = await reportsOf(handle);
      return ((report?.attempt ?? 0) >= attempt && report!.details.percent) || 0;
    };
    const first = await world.startWorker({ fault: "before range 4", mode: "hold" });
    const handle = await world.startMove();
    await first.reached("before range 4");
    const kept = await waitFor(() => comparedFrom(1).then((rows) => rows || null), {
      what: "a heartbeat with progress",
    });
    await first.kill();
    const second = await world.startWorker({ fault: "before range 2", mode: "hold" });
    await second.reached("before range 2");
    // Beginning again, it would have less: it stopped before the fourth range, and holds before its second.
    await waitFor(async () => (await comparedFrom(2)) >= kept, { what: "as much progress as before" });
    second.goOn();
    const { verified, leftover } = await resultOf(handle);
    assert.ok(verified!.rows >= LARGE);
    await expectSound(ledger);
    await expectMoved(world, leftover, before);
  });

  for (const range of [1, 3])
    it(`a worker that dies before range ${range} leaves the result right`, async () => {
      const world = await createWorld();
      const ledger = await loadedShard(world, { rows: LARGE });
      const worker = await world.startWorker({ fault: `before range ${range}` });
      const handle = await world.startMove();
      await worker.gone();
      await world.startWorker();
      assert.ok((await resultOf(handle)).verified!.rows >= LARGE);
      await expectSound(ledger);
    });

  it("a difference that was found is found again after the death of the worker", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world, { rows: LARGE });
    const first = await world.startWorker({ fault: "before verify", mode: "hold" });
    const handle = await world.startMove();
    await first.reached("before verify");
    await world.b.rows("UPDATE sh0042.large SET a = 'rogue' WHERE id = 1");
    await first.kill();
    const second = await world.startWorker({ fault: "before range 4", mode: "hold" });
    await second.reached("before range 4");
    const compared = async (): Promise<boolean> =>
      (await reportsOf(handle))[0]?.details.verified !== undefined;
    await waitFor(compared, { what: "a heartbeat" });
    await second.kill();
    await world.startWorker();
    const { differs } = await untilPaused(handle);
    assert.match(differs?.text ?? "", /1 row differs:\n +"large", id = 1: a is/);
    await handle.signal(abortSignal);
    await assert.rejects(resultOf(handle), /nothing is left behind/);
    await expectSound(ledger);
  });

  it("with --verify=none nothing is compared, and the result says so", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    await world.startWorker();
    const { verified } = await resultOf(await world.startMove({ verify: "none" }));
    assert.equal(verified, null);
    await expectSound(ledger);
  });
});

it("a comparison ends when nothing keeps the copy in step any more", { timeout: 120_000 }, async () => {
  const world = await createWorld();
  await createShard(
    world.a,
    42,
    "CREATE TABLE sh0042.t (id int PRIMARY KEY); INSERT INTO sh0042.t VALUES (1)",
  );
  const worker = await world.startWorker({ fault: "before range 1", mode: "hold" });
  const move = await world.startMove({ wait: true, verify: "none" });
  await untilPaused(move);
  const comparison = await world.startVerify();
  await worker.reached("before range 1");
  const [{ name }] = (await world.b.rows<{ name: string }>(
    "SELECT subname AS name FROM pg_subscription WHERE subenabled AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
  )) as [{ name: string }];
  await world.b.rows(`ALTER SUBSCRIPTION ${name} DISABLE`);
  await world.a.rows("INSERT INTO sh0042.t VALUES (2)");
  worker.goOn();
  await assert.rejects(resultOf(comparison), /nothing keeps "sh0042" on .* in step any more/);
  await move.cancel();
  await assert.rejects(resultOf(move));
  await expectNoLeftovers(world.a, world.b);
});

it("a row that changes all the time does not hold up the move", { timeout: 120_000 }, async () => {
  const world = await createWorld();
  const ledger = await loadedShard(world);
  // Every half millisecond: without a pause, a busy machine's apply worker falls behind for good.
  await world.a.rows(
    `CREATE TABLE sh0042.counter (id int PRIMARY KEY, n bigint);
     INSERT INTO sh0042.counter VALUES (1, 0);
     CREATE PROCEDURE public.count() LANGUAGE plpgsql AS $$ BEGIN
       LOOP UPDATE sh0042.counter SET n = n + 1; COMMIT; PERFORM pg_sleep(0.0005); END LOOP; END $$`,
  );
  const counting = world.a.withClient((client) =>
    client.query("CALL public.count()").then(
      () => "",
      (error: Error) => error.message,
    ),
  );
  await world.startWorker();
  const { verified } = await resultOf(await world.startMove());
  assert.equal(verified!.tables, 4);
  // The shard has left.
  assert.match(await counting, /relation "sh0042.counter" does not exist/);
  await expectSound(ledger);
});

it("what changed whenever it was read is compared under the lock", { timeout: 300_000 }, async () => {
  const world = await createWorld();
  const ledger = await loadedShard(world);
  await world.startWorker();
  const handle = await world.startMove({ wait: true });
  await untilPaused(handle);
  const [{ name }] = (await world.b.rows(
    "SELECT subname AS name FROM pg_subscription WHERE subname ~ '^shardferry_sh0042'",
  )) as [{ name: string }];
  const dsns = [parseDsn(world.a.dsn), parseDsn(world.b.dsn)] as const;
  const [from, to] = dsns.map((dsn) => dsn.name) as [string, string];
  const islands = new Islands(dsns);
  const step = {
    schema: "sh0042",
    from,
    to,
    replicationName: name,
    attempt: { reading: (_: string, read: () => Promise<unknown>) => read() },
    bothSides: (a: object, b: object, use: (a: unknown, b: unknown) => Promise<unknown>) =>
      islands.withSessions(
        [
          [from, a],
          [to, b],
        ],
        ([source, destination]) => use(source, destination),
      ),
  } as unknown as MoveStep;
  const changing = [
    { table: "large", keys: [["7"], ["8"]] },
    { table: "keyless", keys: null },
  ];
  // It gives up when its time is over, which on a busy machine must not be what decides.
  const compare = async (wal = "pg_current_wal_flush_lsn()", ms = 60_000): Promise<boolean | undefined> => {
    const [{ position }] = (await world.a.rows(`SELECT (${wal})::text AS position`)) as [
      { position: string },
    ];
    return ChangingRowsComparison.with(step, changing, (comparison) =>
      Promise.resolve(comparison?.run(position, ms)),
    );
  };
  try {
    assert.equal(await compare(), true);
    assert.equal(await compare("'FFFF/0'::pg_lsn", 300), false);
    await world.b.rows("UPDATE sh0042.large SET a = 'rogue' WHERE id = 8");
    await assert.rejects(
      compare(),
      /1 row differs:\n +"large", id = 8: a is .* and 'rogue' on the destination/,
    );
    await world.a.rows("UPDATE sh0042.large SET a = 'right' WHERE id = 8");
    assert.equal(await compare(), true);
    await world.b.rows("DELETE FROM sh0042.keyless WHERE a = 7");
    await assert.rejects(
      compare(),
      /"keyless", the row \(7,x\), which is there once on the source and never/,
    );
  } finally {
    await islands.close();
  }
  await handle.signal(abortSignal);
  await assert.rejects(resultOf(handle), /nothing is left behind/);
  await expectSound(ledger);
});
