import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Diagnosis } from "../../src/operations/doctor.ts";
import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { createIslands, type Islands, run, runJson, schemas } from "./run-command.ts";

type Document = Diagnosis & { ok: boolean };

describe("doctor", () => {
  let islands: Islands;
  let unfit: PostgresServer;
  before(async () => {
    islands = await createIslands([1, 2]);
    await run(["sequences", "assign", "--mode=interleave"], islands);
    // Created earlier, by sequences that started at the same value.
    await islands.a.rows("DELETE FROM sh0002.users");
    unfit = await startPostgres({
      version: 17,
      settings: { wal_level: "replica", max_replication_slots: "1" },
    });
    await unfit.withClient(async (client) => {
      await client.query("CREATE ROLE plain LOGIN PASSWORD 'plain-secret'");
      await client.query("SELECT pg_create_physical_replication_slot('taken')");
    });
  });

  it("finds nothing on islands that are ready for moves", async () => {
    const { stdout, status } = await run(["doctor"], islands);
    assert.equal(status, 0);
    assert.match(stdout, /nothing to change/);
  });

  it("names everything that prevents moves on an island, and what to change", async () => {
    const env = { DSNS: `${islands.a.dsn},${unfit.dsn().replace(/\/\/.*@/, "//plain:plain-secret@")}` };
    const { ok, findings } = await runJson<Document>(["doctor"], { env });
    assert.equal(ok, false);
    const text = findings
      .map(({ island, severity, text: what }) => `${island} ${severity} ${what}`)
      .join("\n");
    for (const words of [
      /problem \S+ has wal_level = replica: set wal_level = logical/,
      /problem role plain may not use replication on \S+: ALTER ROLE plain REPLICATION/,
      /problem role plain may not create subscriptions on \S+: GRANT pg_create_subscription TO plain/,
      /problem \S+ has no free replication slot \(1 of 1 in use\): raise max_replication_slots/,
      /problem the SQL API is not installed/,
    ]) {
      assert.match(text, words);
    }
    const { status, stdout, stderr } = await run(["doctor"], { env });
    assert.equal(status, 1);
    assert.match(stdout, /✘ \S+ has wal_level = replica/);
    assert.ok(!`${stdout}${stderr}${text}`.includes("plain-secret"));
  });

  it("reports foreign keys that are not validated, and shards that are active twice", async () => {
    await islands.a.rows(
      "ALTER TABLE sh0001.users ADD CONSTRAINT parent FOREIGN KEY (id) REFERENCES sh0001.users NOT VALID",
    );
    await islands.b.rows(
      "SELECT microsharding.microsharding_ensure_exist(2), microsharding.microsharding_ensure_active(2)",
    );
    const { findings } = await runJson<Document>(["doctor"], islands);
    const text = findings.map(({ severity, text: what }) => `${severity} ${what}`).join("\n");
    assert.match(text, /warning sh0001 has foreign keys that are not validated: parent of users/);
    assert.ok(text.includes(`problem sh0002 is active on ${islands.names.a} and ${islands.names.b}`), text);
    await islands.b.rows(
      "SELECT microsharding.microsharding_ensure_inactive(2), microsharding.microsharding_ensure_absent(2)",
    );
  });

  it("runs every check of a move, and changes nothing", async () => {
    const args = ["doctor", "--shard=1", `--to=${islands.names.b}`];
    const fit = await run(args, islands);
    assert.equal(fit.status, 0, fit.stdout);
    await islands.a.rows("CREATE TABLE public.outside (id bigint REFERENCES sh0001.users)");
    const { ok, findings } = await runJson<Document>(args, islands);
    assert.equal(ok, false);
    assert.match(findings.map(({ text }) => text).join("\n"), /public\.outside/);
    assert.deepEqual(await schemas(islands.b), []);
  });

  it("refuses PGOPTIONS that the destination does not accept, and lists the existing shards", async () => {
    const env = { ...islands.env, PGOPTIONS: "-c no_such_setting=1" };
    const to = `--to=${islands.names.b}`;
    const { ok, findings } = await runJson<Document>(["doctor", "--shard=2", to], { env });
    assert.equal(ok, false);
    assert.match(findings.map(({ text }) => text).join("\n"), /does not accept PGOPTIONS=.*no_such_setting/);
    const unknown = await run(["doctor", "--shard=77", to], islands);
    assert.deepEqual([unknown.status, /The active shards are: 1-2/.test(unknown.stderr)], [2, true]);
  });

  it("requires both --shard and --to for a move, and --schema, --from and --to for a copy", async () => {
    const to = `--to=${islands.names.b}`;
    for (const args of [["--shard=1"], [to], ["--schema=x", to], ["--shard=1", "--schema=x", to]])
      assert.equal((await run(["doctor", ...args], islands)).status, 2, args.join(" "));
  });

  it("runs every check of a copy, and changes nothing", async () => {
    const args = ["doctor", "--schema=sh0002", `--from=${islands.names.a}`, `--to=${islands.names.b}`];
    const fit = await run([...args, "--copy-method=tablesync", "--wait", "--validate-fks=no"], islands);
    assert.deepEqual([fit.status, /the copy of sh0002/.test(fit.stdout)], [0, true], fit.stdout);
    const missing = await run(args.with(1, "--schema=missing"), islands);
    assert.equal(missing.status, 1, missing.stdout);
    assert.deepEqual(await schemas(islands.b), []);
  });
});
