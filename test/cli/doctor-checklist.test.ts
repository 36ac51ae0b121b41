import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, it } from "node:test";

import type { Diagnosis } from "../../src/operations/doctor.ts";
import { ident } from "../../src/postgres/quote.ts";
import { FINDINGS } from "../../src/preflight/finding.ts";
import { createNamespace } from "../support/temporal.ts";
import { createIslands, type Islands, run, runJson, schemaOf, start } from "./run-command.ts";

type Document = Diagnosis & { ok: boolean; summary: string };

const SHARDS = Array.from({ length: 12 }, (_, i) => i + 1);

describe("doctor as a checklist", () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands(SHARDS);
    await run(["sequences", "assign", "--mode=interleave"], islands);
    await islands.a.rows(SHARDS.map((n) => `DELETE FROM ${schemaOf(n)}.users`).join("; "));
  });

  it("names the one problem first, counts warnings of a kind, and says what is fine", async () => {
    const fit = await runJson<Document>(["doctor"], islands);
    assert.deepEqual([fit.ok, fit.findings], [true, []]);
    assert.ok(fit.fine.includes("source_capacity") && fit.fine.includes("sql_api"), fit.fine.join(" "));
    assert.equal(fit.servers.length, 2);

    for (const n of SHARDS)
      await islands.a.rows(
        `ALTER TABLE ${schemaOf(n)}.users ADD CONSTRAINT parent FOREIGN KEY (id) REFERENCES ${schemaOf(n)}.users NOT VALID`,
      );
    await islands.b.rows(
      "SELECT microsharding.microsharding_ensure_exist(2), microsharding.microsharding_ensure_active(2)",
    );
    const { ok, summary, findings, fine } = await runJson<Document>(["doctor"], islands);
    assert.equal(ok, false);
    assert.deepEqual(
      findings.map(({ code, severity }) => `${severity} ${code}`),
      ["problem active_twice", ...SHARDS.map(() => "warning foreign_keys_not_validated")],
    );
    assert.ok(!fine.includes("active_twice") && fine.includes("sql_api"), fine.join(" "));
    assert.match(summary, /^1 problem, 12 warnings of 1 kind, \d+ checks without a finding$/);

    const { stdout, status } = await run(["doctor"], islands);
    assert.equal(status, 1);
    assert.match(
      stdout,
      /^checked .*\n\n✘ sh0002 is active on .*\[active_twice\]\n\n! 12 × shards with foreign keys/,
    );
    assert.match(stdout, /and 9 more; --json has all of them/);
    assert.equal(stdout.match(/has foreign keys that are not validated/g)?.length, 3);
    await islands.b.rows(
      "SELECT microsharding.microsharding_ensure_inactive(2), microsharding.microsharding_ensure_absent(2)",
    );
  });

  it("has a page on which every code is explained", () => {
    const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    for (const code of Object.keys(FINDINGS)) assert.ok(page.includes(`| \`${code}\` |`), code);
  });

  it("prints SQL by island that corrects what was found", async () => {
    const { stdout } = await run(["doctor", "--fix-sql"], islands);
    assert.ok(stdout.startsWith(`-- island ${islands.names.a}\n-- foreign_keys_not_validated\n`), stdout);
    await islands.a.rows(stdout);
    assert.deepEqual((await runJson<Document>(["doctor"], islands)).findings, []);
    assert.equal((await run(["doctor", "--fix-sql"], islands)).stdout, "-- nothing to correct\n");
  });

  it("shows Temporal and its workers, leftovers, and the size of a move and its time once moves tell it", async () => {
    const { address, namespace } = await createNamespace();
    const env = { ...islands.env, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
    const alone = await runJson<Document>(["doctor"], { env });
    assert.deepEqual([alone.ok, alone.findings.map(({ code }) => code)], [true, ["no_worker"]]);
    assert.deepEqual([alone.temporal?.workers, alone.leftovers?.count], [[], 0]);

    const check = ["doctor", "--shard=1", `--to=${islands.names.b}`];
    const before = await runJson<Document>(check, { env });
    assert.ok(before.size!.bytes > 0 && before.size!.tables === 1 && before.size!.expectedMs === null);

    const worker = start(["worker"], { env });
    await worker.prints(/worker ready/);
    const move = ["move", "--shard=3", `--to=${islands.names.b}`, "--activate-on-destination=yes"];
    assert.equal((await run(move, { env })).status, 0);
    const after = await runJson<Document>(check, { env });
    assert.deepEqual([after.findings, after.temporal?.workers.length], [[], 1]);
    assert.ok(after.size!.expectedMs! > 0);
    const all = await runJson<Document>(["doctor"], { env });
    assert.deepEqual([all.leftovers?.count, all.leftovers!.bytes > 0], [1, true]);
    const { stdout } = await run(["doctor"], { env });
    assert.match(stdout, /^Leftovers: 1, .*iB; `shardferry cleanup` drops 1 of them$/m);
    assert.match(stdout, /^Temporal: .*, namespace test-\w+, version [\d.]+.*; 1 worker: /m);
    worker.signal("SIGTERM");
    await worker.ended();

    for (const [name, value, says] of [
      ["TEMPORAL_ADDRESS", "127.0.0.1:1", /Cannot reach Temporal at 127\.0\.0\.1:1/],
      ["TEMPORAL_NAMESPACE", "nix", /no namespace "nix": set TEMPORAL_NAMESPACE/],
    ] as const) {
      const { ok, findings } = await runJson<Document>(["doctor"], { env: { ...env, [name]: value } });
      assert.deepEqual([ok, findings[0]!.code], [false, "temporal"]);
      assert.match(findings[0]!.text, says);
    }
  });

  it("says that a role may not end the blockers that it is told to end", async () => {
    const role = `r${process.pid}`;
    await islands.a.rows(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'x' IN ROLE pg_read_all_data`);
    await islands.a.rows(
      `GRANT USAGE ON SCHEMA microsharding TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA microsharding TO ${role};
       ALTER SCHEMA sh0001 OWNER TO ${role}; GRANT CREATE ON DATABASE ${ident(islands.a.name)} TO ${role}`,
    );
    const tables = await islands.a.rows<{ name: string }>(
      "SELECT relname AS name FROM pg_class WHERE relnamespace = 'sh0001'::regnamespace AND relkind IN ('r', 'p')",
    );
    for (const { name } of tables) await islands.a.rows(`ALTER TABLE sh0001.${ident(name)} OWNER TO ${role}`);
    await islands.b.rows(`CREATE ROLE ${role}`);
    try {
      const env = { DSNS: `${islands.a.dsn.replace(/\/\/.*@/, `//${role}:x@`)},${islands.b.dsn}` };
      const args = ["doctor", "--shard=1", `--to=${islands.names.b}`];
      const { findings } = await runJson<Document>([...args, "--cancel-blockers-after=5min"], { env });
      const told = findings.filter(({ code }) => code === "blockers_rights");
      assert.equal(told.length, 1, JSON.stringify(findings));
      assert.deepEqual(
        [told[0]!.island, told[0]!.sql],
        [islands.names.a, [`GRANT pg_signal_backend, pg_read_all_stats TO "${role}";`]],
      );
      const without = await runJson<Document>(args, { env });
      assert.ok(without.findings.every(({ code }) => code !== "blockers_rights"));
    } finally {
      await islands.a.rows(
        `REASSIGN OWNED BY ${role} TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`,
      );
      await islands.b.rows(`DROP ROLE ${role}`);
    }
  });
});
