import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import type { MigrateResult } from "../../contract/migrate.ts";
import { waitFor } from "../support/index.ts";
import {
  activeShards,
  createIslands,
  createShard,
  type Islands,
  LAUNCHER,
  run,
  runJson,
  start,
  startInTerminal,
  stateFolder,
} from "./run-command.ts";

describe("migrate", { timeout: 300_000 }, () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
    await createShard(islands.b, 3);
  });

  /** Writes a migration, and returns its path. */
  function file(name: string, sql: string): string {
    const path = join(stateFolder, name);
    writeFileSync(path, sql);
    return path;
  }

  /** Returns the names of the columns that a table has in all shards, in order. */
  async function columns(): Promise<string[]> {
    const sql = `SELECT DISTINCT column_name AS name FROM information_schema.columns
      WHERE table_name = 'users' AND table_schema ~ '^sh' ORDER BY 1`;
    const found = await Promise.all(
      [islands.a, islands.b].map((island) => island.rows<{ name: string }>(sql)),
    );
    return [...new Set(found.flat().map(({ name }) => name))];
  }

  const BAD = [
    {
      what: "a syntax error",
      sql: "SELECT 1;\nALTER TABEL users ADD x int;",
      says: /syntax error at or near "TABEL"\n.*bad\.sql:2\n {2}ALTER TABEL users ADD x int;\n {8}\^/,
    },
    { what: "nothing in it", sql: "-- later\n", says: /contains no statement/ },
    {
      what: "COMMIT in the middle",
      sql: "ALTER TABLE users ADD x int;\nCOMMIT;\nALTER TABLE users ADD y int;",
      says: /is a transaction by itself.*\n.*bad\.sql:2/,
    },
    {
      what: "SET search_path",
      sql: "ALTER TABLE users ADD x int;\nSET search_path = sh0001;",
      says: /leave out SET search_path.*\n.*bad\.sql:2/,
    },
    {
      what: "CREATE INDEX CONCURRENTLY",
      sql: "CREATE INDEX CONCURRENTLY i ON users (name);",
      says: /CREATE INDEX CONCURRENTLY cannot run inside a transaction.*--mode=each/,
    },
  ];
  for (const { what, sql, says } of BAD) {
    it(`refuses a file with ${what}, and changes nothing`, async () => {
      const { status, stderr } = await run(["migrate", `--file=${file("bad.sql", sql)}`, "--yes"], islands);
      assert.equal(status, 1);
      assert.match(stderr, says);
      assert.match(stderr, /Nothing was changed/);
      assert.deepEqual(await columns(), ["id", "name"]);
    });
  }

  it("refuses wrong options with status 2", async () => {
    for (const [args, says] of [
      [["--sql=SELECT 1", "--shards=77"], /There is no shard 77 on any island\. The shards are: 1, 2, 3/],
      [["--sql=SELECT 1", "--shards=3-1"], /runs backwards/],
      [[], /--file or with --sql/],
      [["--file=/nowhere.sql"], /cannot read \/nowhere\.sql/],
      [["--sql=SELECT 1", "--name=a b"], /is not a valid name of a migration/],
    ] as const) {
      const { status, stderr } = await run(["migrate", ...args, "--yes"], islands);
      assert.equal(status, 2, stderr);
      assert.match(stderr, says);
    }
  });

  it("asks before it changes anything, and needs --yes if there is no one to confirm", async () => {
    const args = ["migrate", "--sql=ALTER TABLE users ADD asked int", "--name=asked"];
    const silent = await run(args, islands);
    assert.equal(silent.status, 2);
    assert.match(silent.stderr, /--yes/);

    const terminal = startInTerminal(args, islands);
    await terminal.prints(/Change these shards\? \[y\/N\]/);
    terminal.press("n\r");
    assert.equal((await terminal.ended()).status, 130);
    assert.deepEqual(await columns(), ["id", "name"]);
  });

  it("rehearses, changes all shards, skips them the next time, and prints one JSON document", async () => {
    const path = file(
      "0001_email.sql",
      "ALTER TABLE users ADD COLUMN email text;\nCREATE INDEX ON users (email);\n",
    );
    const args = ["migrate", `--file=${path}`, "--yes"];
    const rehearsed = await run([...args, "--dry-run"], islands);
    assert.equal(rehearsed.status, 0, rehearsed.stderr);
    assert.match(
      rehearsed.stdout,
      /"0001_email" ran in 3 shards on 2 islands without an error, and was rolled back/,
    );
    assert.deepEqual(await columns(), ["id", "name"]);

    const done = await runJson<MigrateResult>(args, islands);
    assert.equal(done.workflowId, "migrate-0001_email");
    assert.deepEqual(done.islands, [
      { island: islands.names.a, applied: 2, skipped: 0 },
      { island: islands.names.b, applied: 1, skipped: 0 },
    ]);
    assert.deepEqual(await columns(), ["email", "id", "name"]);
    const again = await runJson<MigrateResult>(args, islands);
    assert.deepEqual([again.applied, again.skipped], [0, 3]);
  });

  it("names island, shard, line, SQLSTATE and hint of a failure, and exits with 1", async () => {
    const missing = file(
      "0003_fail.sql",
      "ALTER TABLE users ADD COLUMN fails int;\nALTER TABLE nothing ADD x int;\n",
    );
    const failed = await run(["migrate", `--file=${missing}`, "--yes"], islands);
    assert.equal(failed.status, 1);
    assert.match(
      failed.stderr,
      /, shard sh000\d: relation "nothing" does not exist \(SQLSTATE 42P01\)\n.*0003_fail\.sql:2\n {2}ALTER TABLE nothing ADD x int;\n {2}\^\nhint: /,
    );
    assert.deepEqual(await columns(), ["email", "id", "name"]);
  });

  it("as the command of allocate, fills the new shards and no others", async () => {
    const path = file(
      "0004_all.sql",
      "CREATE TABLE IF NOT EXISTS users (id bigserial PRIMARY KEY, name text, email text);",
    );
    const allocated = await run(
      [
        "allocate",
        "--shards=5-6",
        "--activate=yes",
        `--migrate-cmd="${LAUNCHER}" migrate --file="${path}" --yes`,
      ],
      islands,
    );
    assert.equal(allocated.status, 0, allocated.stderr);
    const rows = await islands.a.rows<{ schema: string }>(
      `SELECT schema_name AS schema FROM microsharding.microsharding_migrations_applied_('0004_all', '{sh0001,sh0005,sh0006}')`,
    );
    assert.deepEqual(rows, [{ schema: "sh0005" }, { schema: "sh0006" }]);
    const active = await islands.a.rows(
      "SELECT FROM unnest(microsharding.microsharding_list_active_shards())",
    );
    assert.equal(active.length, 4);
  });

  it("is waited for by allocate, which activates no shard that is being changed, and says what it is waiting for", async () => {
    await islands.a.rows(
      `INSERT INTO microsharding.microsharding_leases_ (schema_name, run_id, workflow_id, kind, expires_at)
       VALUES ('sh0008', gen_random_uuid()::text, 'migrate-slow', 'schema change', now() + interval '1 h')`,
    );
    const allocating = start(["allocate", "--shards=7-8", "--activate=yes", "--migrate-cmd=true"], islands);
    await allocating.prints(/waiting for migrate-slow to end before shards are activated/);
    assert.ok(!(await activeShards(islands.a)).includes("sh0007"));
    await islands.a.rows("DELETE FROM microsharding.microsharding_leases_");
    assert.equal((await allocating.ended()).status, 0);
    const active = await activeShards(islands.a);
    assert.ok(active.includes("sh0007") && active.includes("sh0008"));
  });

  const LATE = "ALTER TABLE IF EXISTS users ADD COLUMN IF NOT EXISTS late int";

  /** Runs a migration of the active shards, as somebody else might while shards are being allocated. */
  const elsewhere = (name: string): string =>
    `env -u SHARDFERRY_SHARDS "${LAUNCHER}" migrate --sql="${LATE}" --name=${name} --yes`;

  it("of the active shards during allocate prevents it from activating shards that lack the migration; the next run adds it", async () => {
    const base = `"${LAUNCHER}" migrate --file="${join(stateFolder, "0004_all.sql")}" --yes`;
    const args = (command: string): string[] => [
      ...["allocate", "--shards=11-12", "--activate=yes", `--migrate-cmd=${command}`],
    ];
    const behind = await run(args(`${base} && ${elsewhere("late")}`), islands);
    assert.equal(behind.status, 1, behind.stderr);
    assert.match(
      behind.stderr,
      /while sh0011 to sh0012 were allocated, the active shards received the migration "late".*Nothing was activated: run the same allocate again/,
    );
    assert.ok(!(await activeShards(islands.a)).includes("sh0011"));
    const mended = await run(
      args(`${base} && "${LAUNCHER}" migrate --sql="${LATE}" --name=late --yes`),
      islands,
    );
    assert.equal(mended.status, 0, mended.stderr);
    assert.ok((await activeShards(islands.a)).includes("sh0012"));
    assert.deepEqual(
      await islands.a.rows(
        "SELECT FROM information_schema.columns WHERE column_name = 'late' GROUP BY table_schema HAVING table_schema IN ('sh0011', 'sh0012')",
      ),
      [{}, {}],
    );
  });

  it("that all active shards had long before is only reported by allocate, whose command may apply it in another form", async () => {
    const command = `"${LAUNCHER}" migrate --file="${join(stateFolder, "0004_all.sql")}" --yes`;
    await run(["migrate", "--sql=SELECT 1", "--name=old", "--yes"], islands);
    const done = await run(["allocate", "--shard=13", "--activate=yes", `--migrate-cmd=${command}`], islands);
    assert.equal(done.status, 0, done.stderr);
    assert.match(
      done.stdout,
      /all active shards have had the migrations .*"old", but not all of the new ones/,
    );
  });

  it("that starts between allocate's last check and the activation is reported afterwards", async () => {
    const base = `"${LAUNCHER}" migrate --file="${join(stateFolder, "0004_all.sql")}" --yes`;
    await islands.a.withClient(async (holder) => {
      const allocating = start(
        ["allocate", "--shard=14", "--activate=yes", `--migrate-cmd=${base}`],
        islands,
      );
      await allocating.prints(/running /);
      // The activation waits here; readers do not.
      await holder.query("BEGIN; LOCK TABLE microsharding.microsharding_active_ IN SHARE MODE");
      await waitFor(
        async () =>
          (
            await islands.a.rows(
              "SELECT FROM pg_locks WHERE relation = 'microsharding.microsharding_active_'::regclass AND NOT granted",
            )
          ).length === 1,
        { what: "the activation", timeout: 60_000 },
      );
      const late = await run(["migrate", `--sql=${LATE}`, "--name=later", "--yes"], islands);
      assert.equal(late.status, 0, late.stderr);
      await holder.query("COMMIT");
      const { status, stderr } = await allocating.ended();
      assert.equal(status, 1);
      assert.match(
        stderr,
        /the active shards received the migration "later".*They are already active: run the same/,
      );
    });
  });
});
