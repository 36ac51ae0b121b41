import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { IslandLayout } from "../../src/layout/read.ts";
import { createDatabase, testIslands } from "../support/index.ts";
import {
  activeShards,
  createIslands,
  createShard,
  type Islands,
  run,
  runJson,
  schemas,
  start,
  startInTerminal,
  stateFolder,
} from "./run-command.ts";

type ListDocument = { islands: (IslandLayout & { share: number })[] };

describe("install", () => {
  it("installs the SQL API on every island, in the given format, and can be run again", async () => {
    const { a, b } = await testIslands();
    const [one, two] = await Promise.all([createDatabase(a), createDatabase(b)]);
    const env = { DSNS: `${one.dsn},${two.dsn},${one.dsn}` };
    const first = await runJson<{ islands: unknown[] }>(["install", "--schema-name-fmt=shard_%03d"], { env });
    assert.equal(first.islands.length, 2);
    for (const database of [one, two]) {
      const rows = await database.rows("SELECT microsharding.microsharding_schema_name_(7) AS name");
      assert.deepEqual(rows, [{ name: "shard_007" }]);
    }
    const again = await run(["install"], { env });
    assert.equal(again.status, 0);
    assert.equal(again.stdout.trim().split("\n").length, 2);
  });

  it("refuses a format without a number", async () => {
    const { a } = await testIslands();
    const { status, stderr } = await run(["install", "--schema-name-fmt=shard", `--dsn=${a.dsn()}`]);
    assert.equal(status, 2);
    assert.match(stderr, /%d/);
  });
});

describe("list", () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
    await createShard(islands.b, 3);
    await islands.a.rows("SELECT microsharding.microsharding_ensure_exist(9)");
  });

  it("shows active shards with weight, share and factor, as text and as JSON", async () => {
    await islands.a.rows("SELECT microsharding.microsharding_set_factor_('sh0002', 2)");
    const { islands: found } = await runJson<ListDocument>(["list"], islands);
    assert.deepEqual(
      found.map(({ island, shards }) => [island, shards.map(({ no, schema }) => `${no} ${schema}`)]),
      [
        [islands.names.a, ["1 sh0001", "2 sh0002"]],
        [islands.names.b, ["3 sh0003"]],
      ],
    );
    const [one, two] = found[0]!.shards;
    assert.deepEqual([one!.unit, one!.factor, two!.factor, one!.tables], ["B", 1, 2, 1]);
    const [size] = await islands.a.rows<{ bytes: string }>(
      "SELECT pg_total_relation_size('sh0001.users') AS bytes",
    );
    assert.equal(one!.weight, Number(size!.bytes));
    assert.equal(two!.weight, 2 * two!.bytes);

    const { stdout } = await run(["ls"], islands);
    assert.match(stdout, new RegExp(`${islands.names.a}.*2 shards`));
    assert.match(stdout, /^ +sh0002 +\d+ KiB +\d+\.\d% +2$/m);
    assert.match(stdout, /2 islands, 3 shards/);
  });

  it("weighs by a user's query, run in each shard, and shows its other columns", async () => {
    const sql =
      "SELECT count(*) / 8.0 || ' kusers' AS users, max(id) AS last, current_schema() AS place FROM users;";
    const { islands: found } = await runJson<ListDocument>(["list", `--weight-sql=${sql}`], islands);
    const [one, two] = found[0]!.shards;
    assert.deepEqual(
      [one!.weight, one!.unit, one!.other],
      [125, "kusers", { last: "1000", place: "sh0001" }],
    );
    assert.equal(two!.weight, 250);
    const { stdout } = await run(["list"], { env: { ...islands.env, WEIGHT_SQL: sql } });
    assert.match(stdout, /Shard +users +Share +Factor +last +place/);
  });

  it("changes nothing, whatever the user's query says", async () => {
    const { status, stderr } = await run(["list", "--weight-sql=DELETE FROM users RETURNING 1"], islands);
    assert.equal(status, 1);
    assert.match(stderr, /read-only transaction/);
  });

  it("names the shard in which the user's query fails", async () => {
    await islands.b.rows("CREATE TABLE sh0003.only_here ()");
    const { status, stderr } = await run(["list", "--weight-sql=SELECT count(*) FROM only_here"], islands);
    assert.equal(status, 1);
    assert.match(stderr, /failed in shard sh0001: relation "only_here" does not exist/);
  });

  it("refuses a result that is not a weight, and takes no result as 0", async () => {
    for (const [sql, answer] of [
      ["SELECT 'heavy'", '"heavy" in shard sh000'],
      ["SELECT -1", '"-1" in shard sh000'],
      ["SELECT", "nothing in shard sh000"],
    ] as const) {
      const { status, stderr } = await run(["list", `--weight-sql=${sql}`], islands);
      assert.deepEqual([status, stderr.includes(`--weight-sql returns ${answer}`)], [1, true], stderr);
    }
    const sql = "SELECT sum(id), timestamptz '2026-01-31 12:00Z' AS at FROM users WHERE id < 0";
    const { islands: found } = await runJson<ListDocument>(["list", `--weight-sql=${sql}`], islands);
    const [one] = found[0]!.shards;
    assert.deepEqual([one!.weight, one!.other], [0, { at: "2026-01-31T12:00:00.000Z" }]);
  });

  it("adds reads and writes with --verbose", async () => {
    const { islands: found } = await runJson<ListDocument>(["list", "--verbose"], islands);
    assert.equal(found[0]!.shards[0]!.statistics?.inserts, 1000);
    const { stdout } = await run(["list", "--verbose"], islands);
    assert.match(stdout, /Inserts +Updates +Deletes +Index scans +Seq scans/);
  });

  it("measures reads and writes per second with --rate, to which rows that a move has copied do not belong", async () => {
    const moved = await createIslands([1, 2]);
    const { status, stderr } = await run(
      ["move", "--shard=1", `--to=${moved.names.b}`, "--activate-on-destination=yes"],
      moved,
    );
    assert.equal(status, 0, stderr);
    const listing = start(["list", "--verbose", "--rate=4s", "--json"], moved);
    listing.child.stdin!.end();
    let running = true;
    const ended = listing.ended().finally(() => (running = false));
    while (running) {
      await moved.a.rows("INSERT INTO sh0002.users (name) VALUES ('one more')");
      await sleep(50);
    }
    const { islands: found } = JSON.parse((await ended).stdout) as ListDocument;
    const [busy, idle] = found.map(({ shards }) => shards[0]!);
    assert.deepEqual([busy!.schema, idle!.schema], ["sh0002", "sh0001"]);
    assert.ok(busy!.rates!.inserts > 0 && busy!.rates!.inserts < 1000, JSON.stringify(busy));
    assert.equal(busy!.rates!.deletes, 0);
    assert.ok(idle!.statistics!.inserts >= 1000);
    assert.equal(idle!.rates!.inserts, 0);

    const table = await run(["list", "--rate=1s"], moved);
    assert.match(table.stdout, /Factor +Inserts\/s +Updates\/s +Deletes\/s +Index scans\/s +Seq scans\/s\n/);
    const wrong = await run(["list", "--rate=fast"], moved);
    assert.deepEqual([wrong.status, wrong.stderr.includes('"fast" is not a time')], [2, true], wrong.stderr);
  });

  it("fits the terminal: shards side by side in a wide one, none cut off in a narrow one, and no colors if not wanted", async () => {
    const { a } = await testIslands();
    const many = await createDatabase(a);
    const env = { DSNS: many.dsn };
    await run(["install"], { env });
    await many.rows("SELECT microsharding.microsharding_ensure_exist(1, 60)");
    await many.rows("SELECT microsharding.microsharding_ensure_active(1, 60)");
    const lines = async (columns: number): Promise<string[]> => {
      const { stdout } = await startInTerminal(["list"], { env: { ...env, NO_COLOR: "1" }, columns }).ended();
      assert.ok(!stdout.includes("\x1b["), "it has escape sequences");
      return stdout.split(/\r?\n/).filter((line) => /sh00\d\d/.test(line));
    };
    const [narrow, wide] = [await lines(40), await lines(200)];
    assert.equal(narrow.length, 60);
    assert.ok(narrow.every((line) => line.length <= 40));
    assert.ok(wide.length <= 15 && wide.every((line) => line.length <= 200), wide.join("\n"));
    for (let no = 1; no <= 60; no++)
      assert.match(wide.join(" "), new RegExp(`sh00${String(no).padStart(2, "0")} `));
    const { stdout } = await startInTerminal(["list"], { env }).ended();
    assert.ok(stdout.includes("\x1b["));
  });

  it("says so if the SQL API is not installed", async () => {
    const { a } = await testIslands();
    const bare = await createDatabase(a);
    const { stdout, status } = await run(["list", `--dsns=${islands.b.dsn},${bare.dsn}`]);
    assert.equal(status, 0);
    assert.match(stdout, /not installed \(shardferry install\)/);
  });
});

describe("allocate", () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands();
  });

  it("creates inactive shards on the first island, runs the command, then activates them; and again", async () => {
    const command = `echo "$DSNS" > seen; echo on stdout`;
    const args = ["allocate", "--shards=1-3", `--migrate-cmd=${command}`, "--activate=yes"];
    const first = await runJson<{ created: string[]; activated: string[] }>(args, islands);
    assert.deepEqual(first.created, ["sh0001", "sh0002", "sh0003"]);
    assert.deepEqual(await activeShards(islands.a), ["sh0001", "sh0002", "sh0003"]);
    assert.deepEqual(await schemas(islands.b), []);
    // The command had the settings, including those that only a config file gives.
    assert.equal(readFileSync(join(stateFolder, "seen"), "utf8").trim(), islands.env.DSNS);
    const again = await runJson<{ created: string[]; activated: string[] }>(args, islands);
    assert.deepEqual(again.created, []);
    assert.deepEqual(again.activated, ["sh0001", "sh0002", "sh0003"]);
  });

  it("activates nothing if the command fails, or if told not to", async () => {
    const failed = await run(["allocate", "--shard=5", "--migrate-cmd=exit 3", "--activate=yes"], islands);
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /status 3; no shard was activated/);
    const told = await run(["allocate", "--shard=5", "--migrate-cmd=true", "--activate=no"], islands);
    assert.equal(told.status, 0);
    assert.deepEqual(await activeShards(islands.a), ["sh0001", "sh0002", "sh0003"]);
    assert.deepEqual(await schemas(islands.a), ["sh0001", "sh0002", "sh0003", "sh0005"]);
  });

  it("refuses shards that are active on another island, before the command runs", async () => {
    await createShard(islands.b, 7);
    const args = ["allocate", "--shards=6-8", "--migrate-cmd=touch ran", "--activate=yes"];
    const { status, stderr } = await run(args, islands);
    assert.equal(status, 1);
    assert.ok(stderr.includes(`sh0007 on ${islands.names.b}`), stderr);
    assert.ok(!(await schemas(islands.a)).includes("sh0006"));
    assert.throws(() => readFileSync(join(stateFolder, "ran")));
  });

  it("asks for what is missing", async () => {
    assert.match(
      (await run(["allocate", "--shard=1", "--migrate-cmd=true"], islands)).stderr,
      /--activate: give yes or no/,
    );
    assert.match(
      (await run(["allocate", "--activate=no", "--migrate-cmd=true"], islands)).stderr,
      /--shard=N or --shards=N-M/,
    );
    const { stderr, status } = await run(["allocate", "--shard=1", "--activate=no"], islands);
    assert.match(stderr, /--migrate-cmd/);
    assert.equal(status, 2);
    const slip = await run(["allocate", "--shards=1-2000000000", "--activate=no"], islands);
    assert.deepEqual([slip.status, /--shards: more than 100000 shards/.test(slip.stderr)], [2, true]);
  });
});

describe("factor", () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
    await createShard(islands.b, 3);
    await islands.a.rows("COMMENT ON SCHEMA sh0001 IS 'owned by team x'");
  });

  const factors = async (): Promise<number[]> => {
    const { islands: found } = await runJson<ListDocument>(["list"], islands);
    return found.flatMap(({ shards }) => shards.map(({ factor }) => factor));
  };

  it("sets, adds, subtracts and multiplies, for shards by number or by island, and keeps the comment", async () => {
    await run(["factor", "--shards=1,3", "--factor=1.5"], islands);
    assert.deepEqual(await factors(), [1.5, 1, 1.5]);
    await run(["factor", "--shards=1-3", "--factor=+0.25"], islands);
    assert.deepEqual(await factors(), [1.75, 1.25, 1.75]);
    await run(["factor", `--shards=${islands.names.a}`, "--factor=*2"], islands);
    assert.deepEqual(await factors(), [3.5, 2.5, 1.75]);
    const { status } = await run(["factor", "--shard=1", "--factor=-0.5"], islands);
    assert.equal(status, 0);
    assert.deepEqual(await factors(), [3, 2.5, 1.75]);
    const [row] = await islands.a.rows<{ text: string }>(
      "SELECT obj_description('sh0001'::regnamespace, 'pg_namespace') AS text",
    );
    assert.match(row!.text, /^owned by team x/);
  });

  it("accepts a full DSN, and keeps text that looks like patterns", async () => {
    const before = await factors();
    const text = "50% [weight factor x] \\\\1 & 'quoted' $1";
    await islands.b.rows(`COMMENT ON SCHEMA sh0003 IS '${text.replaceAll("'", "''")}'`);
    const comment = async (): Promise<unknown> =>
      (await islands.b.rows("SELECT obj_description('sh0003'::regnamespace, 'pg_namespace') AS text"))[0];
    assert.equal((await run(["factor", `--shards=${islands.b.dsn}`, "--factor=.5"], islands)).status, 0);
    assert.deepEqual(await factors(), [...before.slice(0, 2), 0.5]);
    assert.deepEqual(await comment(), { text: `${text} [weight factor 0.5]` });
    await run(["factor", "--shard=3", "--factor=1"], islands);
    assert.deepEqual(await comment(), { text });
    await run(["factor", "--shard=3", `--factor=${before[2]}`], islands);
  });

  it("travels with a move, together with the rest of the comment", async () => {
    await createShard(islands.a, 4);
    await islands.a.rows("COMMENT ON SCHEMA sh0004 IS 'of team y'");
    await run(["factor", "--shard=4", "--factor=2.5"], islands);
    const args = ["move", "--shard=4", `--to=${islands.names.b}`, "--activate-on-destination=yes"];
    assert.equal((await run(args, islands)).status, 0);
    const { islands: found } = await runJson<ListDocument>(["list"], islands);
    assert.equal(found[1]!.shards.find(({ no }) => no === 4)!.factor, 2.5);
    assert.deepEqual(
      await islands.b.rows("SELECT obj_description('sh0004'::regnamespace, 'pg_namespace') AS text"),
      [{ text: "of team y [weight factor 2.5]" }],
    );
  });

  it("changes nothing if one of the new factors would be zero or less", async () => {
    const before = await factors();
    for (const zero of ["0", "*0", "0.0000001"]) {
      const { status, stderr } = await run(["factor", "--shard=1", `--factor=${zero}`], islands);
      assert.equal(status, 1, zero);
      assert.match(stderr, /more than 0/);
    }
    const { status, stderr } = await run(["factor", "--shards=1-3", "--factor=-2"], islands);
    assert.equal(status, 1);
    assert.match(stderr, /more than 0; it would be sh0003: -0\.25/);
    assert.deepEqual(await factors(), before);
  });

  it("names unknown shards and islands", async () => {
    const shard = await run(["factor", "--shards=1,77", "--factor=2"], islands);
    assert.deepEqual([shard.status, /No active shard 77/.test(shard.stderr)], [2, true]);
    const island = await run(["factor", "--shards=nix", "--factor=2"], islands);
    assert.equal(island.status, 2);
    assert.ok(island.stderr.includes(islands.names.a) && island.stderr.includes(islands.names.b));
    assert.equal((await run(["factor", "--shard=1", "--factor=many"], islands)).status, 2);
  });
});
