import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { startPostgres } from "../../src/sandbox/index.ts";
import { testIslands, waitFor } from "../support/index.ts";
import { createWorld, resultOf, untilPaused, waitingFor } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

/** Milliseconds for which others may have to wait behind our request for a lock. */
const OTHERS_MS = 1000;

describe("a move whose lock is held by others", { concurrency: 5, timeout: 600_000 }, () => {
  for (const [what, sql, blockMs] of [
    ["a transaction that has written", "INSERT INTO sh0042.large (a) VALUES ('blocker')", 30_000],
    ["a transaction that has called nextval", "SELECT nextval('sh0042.ids')", 8000],
    ["a reader with FOR UPDATE", "SELECT FROM sh0042.large WHERE id = 1 FOR UPDATE", 8000],
  ] as const) {
    it(`waits ${blockMs / 1000} s for ${what}, names the blocker, keeps nobody waiting, and then switches`, async () => {
      // An open transaction prevents everybody on its server from creating a slot.
      const a = await startPostgres({ version: 17, name: "blocked" });
      const { b } = await testIslands();
      const world = await createWorld({ servers: { a, b } });
      const ledger = await loadedShard(world, { rate: 100 });
      await world.startWorker();
      const handle = await world.startMove({ wait: true });
      await untilPaused(handle);
      const before = await world.a.withClient(async (blocker) => {
        const { rows } = await blocker.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
        await blocker.query("BEGIN");
        await blocker.query(sql);
        ledger.takeLongestGap();
        await handle.signal("confirm");
        const named = async (): Promise<string | null> => {
          // After the pause, the lag is checked once more; that is not the wait that is meant here.
          const reason = await waitingFor(handle);
          return reason?.includes("pid") ? reason : null;
        };
        const reason = await waitFor(named, { what: "the move to say who blocks it" });
        assert.ok(reason.includes(`pid ${rows[0]!.pid} postgres`), reason);
        assert.ok(reason.includes(sql), reason);
        const { from } = world.input();
        const remedy = `on ${from}, idle in transaction for \\d+ s, ended by SELECT pg_terminate_backend\\(${rows[0]!.pid}\\): `;
        assert.match(reason, new RegExp(remedy));
        await sleep(blockMs);
        // During the move, a table without a key has a different replica identity.
        const content = { ...(await contentBefore(world, blocker)), identity: "d" };
        assert.ok(ledger.takeLongestGap() < OTHERS_MS, "others had to wait");
        await blocker.query("COMMIT");
        return content;
      });
      const { leftover } = await resultOf(handle);
      await expectSound(ledger);
      await expectMoved(world, leftover, before);
    });
  }

  it("tells a running autovacuum to give way", async () => {
    const a = await startPostgres({ name: "vacuuming", settings: { autovacuum_naptime: "1s" } });
    const { b } = await testIslands();
    const world = await createWorld({ servers: { a, b } });
    // So many that the vacuum takes minutes.
    const ledger = await loadedShard(world, { rows: 10_000 });
    const vacuums = (): Promise<{ pid: number }[]> =>
      world.a.rows(
        `SELECT pid FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM%sh0042.large%' AND datname = current_database()`,
      );
    await world.startWorker();
    await world.a.rows(
      `ALTER TABLE sh0042.large SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
         autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)`,
    );
    await world.a.rows("UPDATE sh0042.large SET a = a");
    const vacuum = await waitFor(async () => (await vacuums())[0], { what: "an autovacuum of the shard" });
    const before = await contentBefore(world);
    const handle = await world.startMove();
    const { leftover, durationMs } = await resultOf(handle);
    const log = await a.log();
    assert.match(log, new RegExp(`\\[${vacuum.pid}\\].*canceling autovacuum task`));
    assert.ok(durationMs < 60_000);
    await expectSound(ledger);
    await expectMoved(world, leftover, before);
  });

  it("names the transactions that prevent its slot from being created, including prepared ones", async () => {
    const a = await startPostgres({ version: 17, name: "slow-slot" });
    const { b } = await testIslands();
    const world = await createWorld({ servers: { a, b } });
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    await world.startWorker();
    await world.a.rows("CREATE TABLE others (id int)");
    await world.a.rows("BEGIN; INSERT INTO others VALUES (1); PREPARE TRANSACTION 'of the application'");
    const handle = await world.a.withClient(async (writer) => {
      const { rows } = await writer.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      await writer.query("BEGIN; INSERT INTO others VALUES (2)");
      const started = await world.startMove();
      const reason = async (): Promise<string | null> => {
        const told = await waitingFor(started);
        return told?.includes(`pid ${rows[0]!.pid} `) ? told : null;
      };
      assert.match(
        await waitFor(reason, { what: "the move to say who keeps it waiting" }),
        /transactions on the source to end: .*pg_terminate_backend.*prepared transaction 'of the application' .*ended by ROLLBACK PREPARED 'of the application'/,
      );
      await writer.query("COMMIT");
      return started;
    });
    await world.a.rows("ROLLBACK PREPARED 'of the application'");
    const { leftover } = await resultOf(handle);
    await expectSound(ledger);
    await expectMoved(world, leftover, before);
  });
});
