import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import type { MoveResult } from "../../contract/move.ts";
import { expectNoLeftovers } from "../support/index.ts";
import {
  activeShards,
  createIslands,
  createShard,
  type Islands,
  run,
  runJson,
  schemas,
  start,
} from "./run-command.ts";

interface StatusRow {
  workflowId: string;
  step: string | null;
  percent: number | null;
  waitingFor: string | null;
}

let islands: Islands;
before(async () => {
  islands = await createIslands([1, 2, 3, 4, 5]);
});

const moveArgs = (shard: number, ...more: string[]): string[] => [
  ...["move", `--shard=${shard}`, `--to=${islands.names.b}`, "--activate-on-destination=yes"],
  ...more,
];

describe("move, with the embedded Temporal server", () => {
  it("moves a shard by one command, shows each step with its time, and prints the result", async () => {
    const { stdout, stderr, status } = await run(moveArgs(1), islands);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.ok((await activeShards(islands.b)).includes("sh0001"));
    assert.ok(!(await activeShards(islands.a)).includes("sh0001"));
    const [row] = await islands.b.rows<{ count: string }>("SELECT count(*) FROM sh0001.users");
    assert.equal(row!.count, "1000");
    for (const step of ["create structure", "tablesync", "build indexes", "lock and switch", "clean up"]) {
      assert.match(stdout, new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z ${step}: `, "m"));
    }
    assert.match(
      stdout,
      new RegExp(`Moved sh0001 from ${islands.names.a} to ${islands.names.b}: 1,000 rows`),
    );
    await expectNoLeftovers(islands.a);
    await expectNoLeftovers(islands.b);
  });

  it("shows the outcome of a move after its end, by the same command or by attach", async () => {
    for (const args of [moveArgs(1), ["attach", "move-sh0001"]]) {
      const { stdout, stderr, status } = await run(args, islands);
      assert.deepEqual([status, stderr], [0, ""]);
      assert.match(stdout, /Z move-sh0001 has ended already, at \d{4}-/);
      assert.match(stdout, /Z lock and switch: switched: "sh0001" is active on/);
      assert.match(stdout, /\nMoved sh0001 from .*: 1,000 rows.*\n$/);
    }
    const again = JSON.parse((await run(moveArgs(1, "--json"), islands)).stdout) as { endedAt: string };
    assert.ok(Date.parse(again.endedAt) < Date.now());
    const other = await run(moveArgs(1, "--validate-fks"), islands);
    assert.equal(other.status, 1);
    assert.match(other.stderr, /Shard 1 \(sh0001\) is already active on/);
  });

  it("shows a move even if its log cannot be written, and says so", async () => {
    const folder = mkdtempSync(join(tmpdir(), "in-the-way-"));
    writeFileSync(join(folder, `shardferry.${userInfo().uid}`), "a file");
    const { stdout, status } = await run(moveArgs(1), { env: { ...islands.env, TMPDIR: folder } });
    rmSync(folder, { recursive: true });
    assert.equal(status, 0);
    assert.match(stdout, /Z no log file: EEXIST/);
    assert.match(stdout, /Moved sh0001 from/);
  });

  it("prints one JSON document, with progress on stderr, and logs to a file that only the user can read", async () => {
    const { stdout, stderr, status } = await run([...moveArgs(2), "--json"], islands);
    assert.equal(status, 0);
    const result = JSON.parse(stdout) as MoveResult;
    assert.deepEqual(
      [result.workflowId, result.schema, result.from, result.to, result.activated, result.rows],
      ["move-sh0002", "sh0002", islands.names.a, islands.names.b, true, 1000],
    );
    assert.ok(result.runId && result.bytes > 0 && result.durationMs > 0 && result.writeBlockedMs >= 0);
    assert.match(stderr, /Z lock and switch: /);

    const folder = join(tmpdir(), `shardferry.${userInfo().uid}`);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    const log = readdirSync(folder)
      .filter((name) => /^\d{14}-sh0002\.log$/.test(name))
      .map((name) => join(folder, name))
      .find((path) => readFileSync(path, "utf8").includes(islands.names.b));
    assert.ok(log, "no log file of this move");
    assert.equal(statSync(log).mode & 0o777, 0o600);
    assert.match(readFileSync(log, "utf8"), /lock and switch: /);
  });

  it("continues a move whose command was killed when the same command is run again", async () => {
    const killed = start(moveArgs(3, "--wait"), islands);
    await killed.prints(/waiting for confirmation/);
    killed.signal("SIGKILL");
    await killed.ended();
    const again = start(moveArgs(3, "--wait"), islands);
    await again.prints(/attached to move-sh0003/);
    await again.prints(/waiting for confirmation/);
    assert.deepEqual(await activeShards(islands.b), ["sh0001", "sh0002"]);

    const [row] = await runJson<StatusRow[]>(["status"], islands);
    assert.deepEqual([row!.workflowId, row!.step], ["move-sh0003", "wait for confirmation"]);
    assert.match(row!.waitingFor!, /confirmation/);
    assert.match((await run(["status"], islands)).stdout, /move-sh0003 +wait for confirmation/);

    assert.equal((await run(["confirm"], islands)).status, 0);
    assert.equal((await again.ended()).status, 0);
    assert.ok((await activeShards(islands.b)).includes("sh0003"));
    assert.match((await run(["status"], islands)).stdout, /Nothing is running/);
  });

  it("is aborted and cleaned up by abort, even if its command was killed", async () => {
    const killed = start(moveArgs(4, "--wait"), islands);
    await killed.prints(/waiting for confirmation/);
    killed.signal("SIGKILL");
    await killed.ended();
    const { status, stdout } = await run(["abort"], islands);
    assert.equal(status, 0);
    assert.match(stdout, /dropped the half-made copy/);
    assert.ok((await activeShards(islands.a)).includes("sh0004"));
    await expectNoLeftovers(islands.a);
    await expectNoLeftovers(islands.b);
  });

  it("refuses a different request for a shard that is being moved, and says what holds it", async () => {
    const holder = start(moveArgs(4, "--wait"), islands);
    await holder.prints(/waiting for confirmation/);
    const { status, stderr } = await run(moveArgs(4, "--wait", "--max-write-block-ms=10"), islands);
    assert.equal(status, 1);
    assert.match(stderr, /move-sh0004 has been running since .*--max-write-block-ms is 3000 there, 10 here/);
    const attached = start(["attach", "move-sh0004"], islands);
    await attached.prints(/attached to move-sh0004/);
    assert.equal((await run(["abort", "move-sh0004"], islands)).status, 0);
    for (const command of [holder, attached]) {
      const ended = await command.ended();
      assert.equal(ended.status, 130);
      assert.match(ended.stderr, /move-sh0004 was aborted/);
    }
    assert.ok((await activeShards(islands.a)).includes("sh0004"));
    assert.ok(!(await schemas(islands.b)).includes("sh0004"));
    await expectNoLeftovers(islands.a);
    await expectNoLeftovers(islands.b);
  });

  it("rehearses without switching anything", async () => {
    const args = ["move", "--shard=5", `--to=${islands.names.b}`, "--activate-on-destination=no"];
    const result = await runJson<MoveResult>(args, islands);
    assert.equal(result.activated, false);
    assert.match(result.leftover!, /^sh0005new_\d{14}$/);
    assert.ok((await activeShards(islands.a)).includes("sh0005"));
    assert.ok((await schemas(islands.b)).includes(result.leftover!));
  });

  it("refuses impossible moves before anything is started", async () => {
    await createShard(islands.b, 8);
    for (const [args, status, message] of [
      [moveArgs(8), 1, /Shard 8 \(sh0008\) is already active on/],
      [moveArgs(99), 2, /Shard 99 \(sh0099\) exists on no island. The active shards are: 1-5, 8/],
      [moveArgs(5, `--from=${islands.names.b}`), 2, /--from and --to are the same island/],
      [moveArgs(5, "--rehearse-switch"), 2, /--rehearse-switch works only with --activate-on-destination=no/],
      [["move", "--shard=5", "--to=127.", "--activate-on-destination=yes"], 2, /matches several islands/],
      [["move", "--shard=5", "--to=nix", "--activate-on-destination=yes"], 2, /No island matches "nix"/],
      [
        ["move", "--shard=8", `--from=${islands.names.a}`, "--to=nix", "--activate-on-destination=yes"],
        2,
        /nix/,
      ],
    ] as const) {
      const ended = await run(args, islands);
      assert.equal(ended.status, status, args.join(" "));
      assert.match(ended.stderr, message);
    }
    assert.match((await run(["status"], islands)).stdout, /Nothing is running/);
  });

  it("accepts full DSNs for --from and --to, as pg-microsharding did", async () => {
    const args = [
      "move",
      "--shard=5",
      `--from=${islands.a.dsn}`,
      `--to=${islands.b.dsn}`,
      "--activate-on-destination=yes",
    ];
    const ended = await run(args, { env: {} });
    assert.equal(ended.status, 0, ended.stderr);
    assert.ok((await activeShards(islands.b)).includes("sh0005"));
    assert.ok(!`${ended.stdout}${ended.stderr}`.includes(islands.a.server.password));
  });
});

describe("copy", () => {
  it("copies a schema of any name, and activates nothing", async () => {
    await islands.a.rows(`CREATE SCHEMA "Odd name"`);
    await islands.a.rows(`CREATE TABLE "Odd name".t AS SELECT generate_series(1, 10) AS id`);
    const args = ["copy", "--schema=Odd name", `--from=${islands.names.a}`, `--to=${islands.names.b}`];
    const { status, stdout, stderr } = await run(args, islands);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /Copied Odd name from .*: 10 rows/);
    const [row] = await islands.b.rows<{ count: string }>(`SELECT count(*) FROM "Odd name".t`);
    assert.equal(row!.count, "10");

    // A user who lost the terminal runs the command again.
    assert.match((await run(args, islands)).stdout, /has ended already[^]*Copied Odd name from .*: 10 rows/);
    await islands.b.rows(`DROP SCHEMA "Odd name" CASCADE`);
    assert.match(
      (await run(args, islands)).stdout,
      /started copy-Odd name[^]*Copied Odd name from .*: 10 rows/,
    );
  });

  it("with --wait says that writes may be stopped and rerouted, and ends when it is confirmed", async () => {
    await islands.a.rows(`CREATE SCHEMA waiting; CREATE TABLE waiting.t (id serial PRIMARY KEY)`);
    const args = [
      "copy",
      "--schema=waiting",
      `--from=${islands.names.a}`,
      `--to=${islands.names.b}`,
      "--wait",
    ];
    const command = start(args, islands);
    await command.prints(/you can now stop the writes on the source and reroute them/);
    await islands.a.rows(
      `INSERT INTO waiting.t SELECT nextval('waiting.t_id_seq') FROM generate_series(1, 7)`,
    );
    assert.equal((await run(["confirm"], islands)).status, 0);
    assert.equal((await command.ended()).status, 0);
    assert.deepEqual(
      await islands.b.rows("SELECT max(id) AS max, nextval('waiting.t_id_seq') AS next FROM waiting.t"),
      [{ max: 7, next: "8" }],
    );
  });

  it("lists the existing schemas", async () => {
    const args = ["copy", "--schema=nix", `--from=${islands.names.a}`, `--to=${islands.names.b}`];
    const { status, stderr } = await run(args, islands);
    assert.equal(status, 2);
    assert.match(stderr, /no schema "nix".*Odd name/);
  });
});
