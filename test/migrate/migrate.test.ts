import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { CancelledFailure, type WorkflowFailedError } from "@temporalio/client";

import type { Progress } from "../../contract/story.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import { resultOf, waitingFor } from "../support/world.ts";
import { createMigrateWorld, expectSoundLedgers, type MigrateWorld, schemaOf, shardsOf } from "./world.ts";

describe("a migration of three islands with eight shards each", { timeout: 300_000 }, () => {
  let world: MigrateWorld;
  before(async () => {
    world = await createMigrateWorld();
    await world.startWorker();
  });

  it("changes all shards under writers, and a rerun skips them", async () => {
    const ledgers = await world.startLedgers();
    const sql = "ALTER TABLE ledger ADD COLUMN first int;\nCREATE INDEX ledger_first ON ledger (first);";
    const { applied, skipped, lockedMs } = await resultOf(await world.start("first", sql));
    const gap = await expectSoundLedgers(ledgers);
    assert.deepEqual([applied, skipped], [24, 0]);
    assert.equal(await world.expectAllOrNone("first", "first"), "all");
    assert.ok(gap < 3000 && lockedMs < 3000, `no write for ${gap} ms, locked for ${lockedMs} ms`);

    const again = await resultOf(await world.start("first", sql));
    assert.deepEqual([again.applied, again.skipped], [0, 24]);
  });

  it("that fails in the last shard of the last island rolls everything back, and says where and why", async () => {
    const [last] = world.islands.slice(-1);
    await last!.rows(`CREATE TABLE ${schemaOf(24)}.blocking (id int)`);
    const ledgers = await world.startLedgers();
    const sql = "ALTER TABLE ledger ADD COLUMN second int;\n-- é\nCREATE TABLE\n  blocking (id int);";
    const error = await resultOf(await world.start("second", sql)).then(String, String);
    await expectSoundLedgers(ledgers);
    assert.match(
      error,
      new RegExp(`${last!.name}, shard sh0024: relation "blocking" already exists \\(SQLSTATE 42P07\\)`),
    );
    assert.match(error, /second\.sql:3\n {2}CREATE TABLE\n {2}\^\nEverything was rolled back/);
    assert.equal(await world.expectAllOrNone("second", "second"), "none");
    await last!.rows(`DROP TABLE ${schemaOf(24)}.blocking`);
  });

  it("points at the exact place in a statement about which the server complains", async () => {
    const sql = "SELECT 'é';\n\n  ALTER TABLE ledger ADD COLUMN third nosuchtype;\n";
    const error = await resultOf(await world.start("third", sql)).then(String, String);
    assert.match(error, /third\.sql:3\n {2} {2}ALTER TABLE ledger ADD COLUMN third nosuchtype;\n {40}\^/);
    assert.match(error, /hint: search_path contains only the shard/);
  });

  it("gets its locks even if transactions of the application hold some and want others: deadlocks end by timeout", async () => {
    const [a, , c] = world.islands;
    await a!.withClient(async (holder) => {
      await holder.query(`BEGIN; INSERT INTO ${schemaOf(8)}.ledger (op) VALUES ('deadlock')`);
      const handle = await world.start("fourth", "ALTER TABLE ledger ADD COLUMN fourth int");
      await waitFor(async () => /pid \d+ .*idle in transaction/.test((await waitingFor(handle)) ?? ""), {
        what: "the migration to say who blocks it",
      });
      // The same client now wants locks that the migration holds from time to time, on this island and on another one.
      for (let i = 0; i < 20; i++) {
        await holder.query(`INSERT INTO ${schemaOf(1)}.ledger (op) VALUES ('deadlock ${i}')`);
        await c!.rows(`INSERT INTO ${schemaOf(17)}.ledger (op) VALUES ('deadlock ${i}')`);
      }
      assert.deepEqual(await world.shardsWith("fourth"), []);
      await holder.query("COMMIT");
      await resultOf(handle);
    });
    assert.equal(await world.expectAllOrNone("fourth", "fourth"), "all");
    const [row] = await a!.rows<{ count: string }>(
      `SELECT count(*) FROM ${schemaOf(1)}.ledger WHERE op LIKE 'deadlock%'`,
    );
    assert.equal(row!.count, "20");
  });

  it("locks nothing of the application before all islands have the ledgers of their shards", async () => {
    const [a, b, c] = world.islands;
    const ledger = `${schemaOf(24)}.microsharding_migrations_`;
    await c!.rows(`DROP TABLE IF EXISTS ${ledger}`);
    await c!.withClient(async (holder) => {
      await holder.query(`BEGIN; CREATE TABLE ${ledger} (in_the_way int)`);
      const sql = "ALTER TABLE ledger ADD COLUMN patient int";
      const handle = await world.start("patient", sql, { lockTimeoutMs: 10_000 });
      await waitFor(async () => /idle in transaction/.test((await waitingFor(handle)) ?? ""), {
        what: "the migration to wait for the last island",
      });
      for (const island of [a!, b!]) {
        const locks = await island.rows(
          `SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
           WHERE c.relname = 'ledger' AND l.mode = 'AccessExclusiveLock'
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        );
        assert.deepEqual(locks, []);
      }
      await holder.query("ROLLBACK");
      await resultOf(handle);
    });
    assert.equal(await world.expectAllOrNone("patient", "patient"), "all");
  });

  it("is rolled back everywhere when it removes the ledger that has to record it", async () => {
    const sql = "ALTER TABLE ledger ADD COLUMN forgetful int;\nDROP TABLE microsharding_migrations_;";
    const error = await resultOf(await world.start("forgetful", sql)).then(String, String);
    assert.match(error, /microsharding_migrations_" does not exist/);
    assert.equal(await world.expectAllOrNone("forgetful", "forgetful"), "none");
  });

  it("gives up at its deadline, and says what blocked it", async () => {
    const [a] = world.islands;
    await a!.withClient(async (holder) => {
      await holder.query(`BEGIN; INSERT INTO ${schemaOf(8)}.ledger (op) VALUES ('long')`);
      const error = await resultOf(
        await world.start("fifth", "ALTER TABLE ledger ADD COLUMN fifth int", { deadlineSec: 4 }),
      ).then(String, String);
      assert.match(error, /could not get all locks at once within 4 s.*idle in transaction/s);
      await holder.query("ROLLBACK");
    });
    assert.equal(await world.expectAllOrNone("fifth", "fifth"), "none");
  });

  it("leaves nothing after a dry run", async () => {
    const handle = await world.start("sixth", "ALTER TABLE ledger ADD COLUMN sixth int", { dryRun: true });
    const { applied, dryRun } = await resultOf(handle);
    assert.deepEqual([applied, dryRun], [24, true]);
    assert.equal(await world.expectAllOrNone("sixth", "sixth"), "none");
  });

  it("finds in a dry run what only PREPARE TRANSACTION refuses", async () => {
    const handle = await world.start("snapshot", "SELECT pg_export_snapshot()", { dryRun: true });
    const error = await resultOf(handle).then(String, String);
    assert.match(error, /cannot PREPARE a transaction that has exported snapshots/);
    await world.expectAllOrNone("snapshot", "snapshot");
  });

  it("gives up at its deadline when a statement breaks its own connection each time", async () => {
    const sql = "SELECT 1;\nSELECT pg_terminate_backend(pg_backend_pid());";
    const error = await resultOf(await world.start("broken", sql, { deadlineSec: 1 })).then(String, String);
    assert.match(error, /shard sh00\d\d: terminating connection due to administrator command/);
    assert.match(error, /broken\.sql:2\n {2}SELECT pg_terminate_backend/);
    assert.equal(await world.expectAllOrNone("broken", "broken"), "none");
  });

  it("leaves alone a prepared transaction whose name merely begins like its own", async () => {
    const [a] = world.islands;
    const gid = "shardferry:migrate-foreign:another";
    await a!.rows(
      `BEGIN; INSERT INTO ${schemaOf(1)}.ledger (op) VALUES ('foreign'); PREPARE TRANSACTION '${gid}'`,
    );
    try {
      // In shards that it does not lock.
      const sql = "CREATE TABLE foreigner ()";
      assert.equal((await resultOf(await world.start("foreign", sql))).applied, 24);
      assert.equal((await a!.rows("SELECT FROM pg_prepared_xacts WHERE gid = $1", [gid])).length, 1);
    } finally {
      await a!.rows(`ROLLBACK PREPARED '${gid}'`);
    }
  });

  it("is aborted while it waits for a lock, and leaves nothing", async () => {
    const [a] = world.islands;
    await a!.withClient(async (holder) => {
      await holder.query(`BEGIN; INSERT INTO ${schemaOf(8)}.ledger (op) VALUES ('aborted')`);
      const handle = await world.start("seventh", "ALTER TABLE ledger ADD COLUMN seventh int");
      await waitFor(async () => (await waitingFor(handle)) !== undefined, { what: "the migration to wait" });
      await handle.signal("abort");
      await assert.rejects(
        handle.result(),
        (error: WorkflowFailedError) => error.cause instanceof CancelledFailure,
      );
      await holder.query("ROLLBACK");
    });
    assert.equal(await world.expectAllOrNone("seventh", "seventh"), "none");
  });

  it("in batches changes some shards of each island at a time, and after a failure continues where it stopped", async () => {
    const last = world.islands[2]!;
    await last.rows(`ALTER TABLE ${schemaOf(24)}.ledger ADD COLUMN eighth int`);
    const sql = "ALTER TABLE ledger ADD COLUMN eighth int";
    const error = await resultOf(await world.start("eighth", sql, { batch: 3 })).then(String, String);
    assert.match(error, /sh0024.*This batch was rolled back on all islands; those before it are committed/s);
    // Two batches of three on each island.
    assert.equal((await world.remembering("eighth")).length, 18);
    await last.rows(`ALTER TABLE ${schemaOf(24)}.ledger DROP COLUMN eighth`);
    const { applied, skipped } = await resultOf(await world.start("eighth", sql, { batch: 3 }));
    assert.deepEqual([applied, skipped], [6, 18]);
    assert.equal(await world.expectAllOrNone("eighth", "eighth"), "all");
  });

  it("with another text under the same name is refused", async () => {
    const error = await resultOf(await world.start("first", "SELECT 1")).then(String, String);
    assert.match(error, /had a migration named "first" with another text/);
  });

  it("reaches a named inactive shard, and no other", async () => {
    const [a] = world.islands;
    await a!.rows("SELECT microsharding.microsharding_ensure_exist(31)");
    const sql = "CREATE TABLE fresh (id int)";
    const { applied } = await resultOf(await world.start("fresh", sql, { shards: [[31, 31]] }));
    assert.equal(applied, 1);
    assert.deepEqual(await world.remembering("fresh"), ["sh0031"]);
    await a!.rows("DROP SCHEMA sh0031 CASCADE");
  });

  it("drops debug views for the change and builds them again, in the same transaction", async () => {
    const [a] = world.islands;
    await a!.rows("SELECT microsharding.microsharding_migration_after()");
    await resultOf(
      await world.start(
        "views",
        "ALTER TABLE ledger ALTER COLUMN touched TYPE bigint, ADD COLUMN viewed int",
      ),
    );
    const columns = await a!.rows<{ name: string; type: string }>(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
       WHERE attrelid = 'public.ledger'::regclass AND attname IN ('touched', 'viewed') ORDER BY 1`,
    );
    assert.deepEqual(columns, [
      { name: "touched", type: "bigint" },
      { name: "viewed", type: "integer" },
    ]);
    await a!.rows("SELECT microsharding.microsharding_migration_before()");
  });

  it("rebuilds debug views over several islands: with their hosts, and with what has changed there", async () => {
    const [a, b] = world.islands;
    await a!.withClient(async (client) => {
      const { user, password, host, port } = b!.server;
      await client.query(
        "SELECT set_config('microsharding.fdw_user', $1, false), set_config('microsharding.fdw_password', $2, false)",
        [user, password],
      );
      await client.query("SELECT microsharding.microsharding_migration_after($1)", [
        `${host}:${port}/${b!.name}`,
      ]);
    });
    // The comment is a hash of what was found there, and the host as it was given.
    const servers =
      "SELECT srvname, split_part(obj_description(oid), ' ', 2) AS host, srvoptions FROM pg_foreign_server";
    const before = await a!.rows(servers);
    const sql =
      "ALTER TABLE ledger ALTER COLUMN viewed TYPE bigint, ADD COLUMN spans text;\nINSERT INTO ledger (op, spans) VALUES ('spans', current_schema());";
    await resultOf(await world.start("spans", sql));
    assert.deepEqual(await a!.rows(servers), before);
    const rows = await a!.rows(
      "SELECT shard::text, pg_typeof(viewed)::text AS type FROM public.ledger WHERE spans = shard::text ORDER BY 1",
    );
    const expected = [...shardsOf(0), ...shardsOf(1)].map((shard) => ({
      shard: schemaOf(shard),
      type: "bigint",
    }));
    assert.deepEqual(rows, expected);
    await a!.rows("SELECT microsharding.microsharding_debug_fdw_drop('microsharding_debug')");
    await a!.rows("SELECT microsharding.microsharding_migration_before()");
  });

  it("waits for another migration of the same shards, and names it", async () => {
    const [a] = world.islands;
    await a!.withClient(async (holder) => {
      await holder.query(`BEGIN; INSERT INTO ${schemaOf(8)}.ledger (op) VALUES ('two')`);
      const first = await world.start("one-of-two", "ALTER TABLE ledger ADD COLUMN one_of_two int");
      await waitFor(async () => (await waitingFor(first)) !== undefined, {
        what: "the first to hold its leases",
      });
      const second = await world.start("two-of-two", "ALTER TABLE ledger ADD COLUMN two_of_two int");
      await waitFor(
        async () => /migrate-one-of-two, which holds sh0001/.test((await waitingFor(second)) ?? ""),
        {
          what: "the second to say for whom it waits",
        },
      );
      await holder.query("COMMIT");
      await Promise.all([resultOf(first), resultOf(second)]);
      const { steps, percent } = await second.query<Progress>(progressQuery);
      assert.deepEqual([steps.length, percent], [4, 100]);
    });
    assert.equal(await world.expectAllOrNone("one_of_two", "one-of-two"), "all");
    assert.equal(await world.expectAllOrNone("two_of_two", "two-of-two"), "all");
    await expectNoLeftovers(...world.islands);
  });
});
