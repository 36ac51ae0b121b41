import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { findPgDump } from "../../src/machine/pg-programs.ts";
import type { AssignedSequence } from "../../src/operations/sequences.ts";
import { runningServer } from "../../src/temporal/embedded.ts";
import { activeShards, createIslands, type Islands, run, runJson, stateFolder } from "./run-command.ts";

interface JsonError {
  error: { code: string; message: string };
}

const folder = mkdtempSync(join(tmpdir(), "traps-"));
after(() => rmSync(folder, { recursive: true }));

describe("the command line, used a little wrong", () => {
  it("asks whether another action, option or setting was meant", async () => {
    assert.match((await run(["mvoe"])).stderr, /Unknown action "mvoe"\. Did you mean "move"\?/);
    assert.match((await run(["move", "--shrad=4"])).stderr, /Did you mean --shard\?/);
    for (const [name, says] of [
      ["PARALELISM", /no setting PARALELISM; did you mean PARALLELISM\?/],
      ["dsns", /did you mean DSNS\?/],
      ["weightSql", /did you mean WEIGHT_SQL\?/],
      ["PGPASWORD", /did you mean PGPASSWORD\?/],
      ["TEMPORAL_ADRESS", /did you mean TEMPORAL_ADDRESS\?/],
      ["PG_BIN", /environment only/],
    ] as const) {
      writeFileSync(join(folder, "shardferry.config.json"), JSON.stringify({ [name]: "x" }));
      const { status, stderr } = await run(["list"], { cwd: folder });
      assert.deepEqual([status, says.test(stderr)], [2, true], `${name}: ${stderr}`);
    }
    // A variable for the commands that --migrate-cmd runs.
    writeFileSync(join(folder, "shardferry.config.json"), JSON.stringify({ APP_STAGE: "test", PGTZ: "UTC" }));
    assert.match((await run(["list"], { cwd: folder })).stderr, /No databases/);
  });

  it("prints help and version as one JSON document, too", async () => {
    const version = await run(["--version", "--json"]);
    assert.match((JSON.parse(version.stdout) as { version: string }).version, /^\d+\.\d+\.\d+$/);
    for (const args of [["--help"], ["move", "--help"], []]) {
      const { stdout, stderr, status } = await run([...args, "--json"]);
      if (args.length === 0) continue;
      const { help } = JSON.parse(stdout) as { help: string };
      assert.deepEqual([status, stderr, help.startsWith("Usage: shardferry")], [0, "", true]);
    }
  });

  it("refuses to end blockers after no time at all", async () => {
    const args = ["move", "--shard=1", "--to=x", "--activate-on-destination=yes", "--dsns=h"];
    const { status, stderr } = await run([...args, "--cancel-blockers-after=0s"]);
    assert.deepEqual([status, /--cancel-blockers-after: give more than 0/.test(stderr)], [2, true], stderr);
  });

  it("refuses a PG_BIN without the programs", async () => {
    const before = process.env["PG_BIN"];
    process.env["PG_BIN"] = join(folder, "nowhere");
    try {
      await assert.rejects(findPgDump(14), /PG_BIN is .*nowhere, and that folder has no pg_dump/);
    } finally {
      if (before === undefined) delete process.env["PG_BIN"];
      else process.env["PG_BIN"] = before;
    }
  });
});

describe("the command line, on islands", () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
  });

  it("looks what an assignment of sequences would change, without changing it", async () => {
    const args = ["sequences", "assign", "--mode=interleave", "--dry-run"];
    type Found = { sequences: AssignedSequence[] };
    const dry = await runJson<Found>(args, islands);
    assert.deepEqual(
      dry.sequences.map(({ schema, changed, next }) => [schema, changed, next]),
      [
        ["sh0001", true, null],
        ["sh0002", true, null],
      ],
    );
    assert.deepEqual((await runJson<Found>(args, islands)).sequences, dry.sequences);
    await run(args.slice(0, 3), islands);
    const { sequences } = await runJson<Found>(args, islands);
    assert.ok(sequences.every(({ changed, next }) => !changed && Number(next) > 0));
  });

  it("allocates no shard where the application cannot write, and says where that is set", async () => {
    await islands.b.rows(`ALTER DATABASE ${islands.b.name} SET default_transaction_read_only = on`);
    const env = { DSNS: islands.b.dsn };
    const args = ["allocate", "--shard=7", "--migrate-cmd=true", "--activate=yes"];
    const { error } = await runJson<JsonError>(args, { env });
    assert.equal(error.code, "refused");
    const remedy = `ALTER DATABASE "${islands.b.name}" SET default_transaction_read_only = off`;
    assert.ok(error.message.endsWith(`cannot write there: ${remedy}`), error.message);
    assert.deepEqual(await activeShards(islands.b), []);
    const told = await run(["doctor"], islands);
    assert.ok(told.stdout.includes(`default_transaction_read_only = on: ${remedy}`), told.stdout);
    const { stdout } = await run(["doctor", "--fix-sql"], islands);
    assert.ok(stdout.includes(`\n${remedy};`), stdout);
    await islands.b.withClient(async (client) => {
      await client.query("SET default_transaction_read_only = off");
      await client.query(remedy);
    });
    assert.equal((await run(args, { env })).status, 0);
  });

  it("takes Temporal's web page for what it is, at once", async () => {
    await run(["move", "--shard=9", `--to=${islands.names.b}`, "--activate-on-destination=yes"], islands);
    // Whatever that said, it has started the embedded server.
    await run(["dev", "--help"], islands);
    const { uiPort } = runningServer({ SHARDFERRY_STATE_DIR: stateFolder })!;
    const env = { ...islands.env, TEMPORAL_ADDRESS: `127.0.0.1:${uiPort}` };
    for (const args of [["status"], ["worker"]]) {
      const begun = Date.now();
      const { status, stderr } = await run(args, { env });
      assert.deepEqual(
        [status, /speaks HTTP\/1\.1, as Temporal's web page does/.test(stderr)],
        [1, true],
        stderr,
      );
      assert.ok(Date.now() - begun < 9000, `${Date.now() - begun} ms`);
    }
  });

  it("names the variable of an unknown namespace", async () => {
    const { port } = runningServer({ SHARDFERRY_STATE_DIR: stateFolder })!;
    const env = { ...islands.env, TEMPORAL_ADDRESS: `127.0.0.1:${port}`, TEMPORAL_NAMESPACE: "nix" };
    const move = ["move", "--shard=1", `--to=${islands.names.b}`, "--activate-on-destination=yes"];
    for (const args of [["worker"], ["status"], ["attach", "move-x"], move]) {
      const { error } = await runJson<JsonError>(args, { env });
      assert.equal(error.code, "temporal_namespace", `${args[0]}: ${error.message}`);
      assert.match(error.message, /no namespace "nix": set TEMPORAL_NAMESPACE/);
    }
  });
});
