import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Drift } from "../../src/operations/drift.ts";
import { createIslands, createShard, type Islands, run, runJson } from "./run-command.ts";

describe("drift", () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
    await createShard(islands.b, 3);
    // Shard 0 differs from the others on purpose, and the ledgers of migrations are not drift.
    await islands.a.rows(
      "SELECT microsharding.microsharding_ensure_exist(0), microsharding.microsharding_ensure_active(0)",
    );
    await islands.a.rows("CREATE TABLE sh0001.microsharding_migrations_ (name text PRIMARY KEY)");
  });

  it("ends with 0 if all shards on all islands are alike", async () => {
    const { stdout, status } = await run(["drift"], islands);
    assert.deepEqual([stdout, status], ["✔ 3 shards: no drift\n", 0]);
  });

  it("shows differences from the majority as DDL, and ends with 1", async () => {
    await islands.b.rows("DROP INDEX sh0003.users_name_idx");
    const { stdout, status } = await run(["drift"], islands);
    assert.equal(status, 1);
    assert.match(stdout, /reference +sh0001-sh0002 on /);
    assert.match(stdout, /1 shard +sh0003 on /);
    assert.match(
      stdout,
      /less: index users_name_idx of users\n +- CREATE INDEX users_name_idx ON users USING btree \(name\);/,
    );

    const { groups } = await runJson<Drift>(["drift"], islands);
    assert.deepEqual(
      groups.map(({ shards, differences }) => [shards, differences.length]),
      [
        [["sh0001", "sh0002"], 0],
        [["sh0003"], 1],
      ],
    );
  });

  it("compares with the given shard, and only the given shards", async () => {
    const { groups } = await runJson<Drift>(["drift", "--reference=3"], islands);
    assert.deepEqual(groups[0]!.shards, ["sh0003"]);
    assert.equal(groups[1]!.differences[0]!.change, "more");
    assert.equal((await run(["drift", "--shards=1-2"], islands)).status, 0);
    const missing = await run(["drift", "--shards=1,8"], islands);
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /No active shard 8 to compare. The active shards are: 0-3/);
    assert.equal((await run(["drift", "--shards=1-x"], islands)).status, 2);
  });

  it("prints the DDL that brings a shard in line, and does not run it", async () => {
    const { stdout, status } = await run(["drift", "--fix-sql"], islands);
    assert.equal(status, 1);
    assert.match(
      stdout,
      /^-- island .*\nSET check_function_bodies TO off;\n\n-- sh0003\nBEGIN;\nCREATE INDEX users_name_idx ON sh0003.users/,
    );
    assert.equal((await run(["drift"], islands)).status, 1);
    await islands.b.rows(stdout);
    assert.equal((await run(["drift"], islands)).status, 0);
  });
});
