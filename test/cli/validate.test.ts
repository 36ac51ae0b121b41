import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Drift } from "../../src/operations/drift.ts";
import type { ValidatedKey } from "../../src/operations/validate.ts";
import { createIslands, createShard, type Islands, run, runJson } from "./run-command.ts";

const KEY = (schema: string, name: string): string =>
  `ALTER TABLE ${schema}.users ADD CONSTRAINT ${name} FOREIGN KEY (id) REFERENCES ${schema}.users NOT VALID`;

describe("validate", { timeout: 180_000 }, () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
    await createShard(islands.b, 3);
    for (const n of [1, 2]) await islands.a.rows(KEY(`sh000${n}`, "parent"));
    await islands.b.rows(KEY("sh0003", "parent").replace(" NOT VALID", ""));
  });

  it("is what drift advises for keys that are NOT VALID, which it does not count as drift", async () => {
    const { stdout, status } = await run(["drift"], islands);
    assert.equal(status, 0, stdout);
    assert.match(
      stdout,
      /3 shards: no drift\n2 shards with foreign keys that are NOT VALID.*sh0001-sh0002 on .*shardferry validate/,
    );
    const { unvalidated } = await runJson<Drift>(["drift"], islands);
    assert.deepEqual(
      unvalidated.map(({ schema, keys }) => [schema, keys]),
      [
        ["sh0001", ["constraint parent of users"]],
        ["sh0002", ["constraint parent of users"]],
      ],
    );
  });

  it("validates the keys, names those that rows violate without the rows, and leaves shards of moves alone", async () => {
    const dry = await runJson<{ keys: ValidatedKey[] }>(["validate", "--dry-run"], islands);
    assert.deepEqual(
      dry.keys.map(({ schema, table, constraint, outcome }) => [schema, table, constraint, outcome]),
      ["sh0001", "sh0002"].map((schema) => [schema, "users", "parent", "found"]),
    );
    await islands.a.rows(`
      CREATE TABLE sh0002.child (owner text); INSERT INTO sh0002.child VALUES ('secret');
      CREATE TABLE sh0002.owner (name text PRIMARY KEY);
      ALTER TABLE sh0002.child ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES sh0002.owner NOT VALID;
      INSERT INTO microsharding.microsharding_leases_ (schema_name, run_id, workflow_id, kind, expires_at)
        VALUES ('sh0001', 'f0000000-0000-0000-0000-000000000000', 'move-sh0001', 'replication', now() + '1 h')`);
    const { stdout, status } = await run(["validate"], islands);
    assert.equal(status, 1);
    assert.match(stdout, /still NOT VALID: parent of sh0001\.users on .*move-sh0001 holds the shard/);
    assert.match(stdout, /validated: parent of sh0002\.users/);
    assert.match(
      stdout,
      /still NOT VALID: owned of sh0002\.child .*rows violate it: SELECT t\.\* FROM sh0002\.child t WHERE t\.owner IS NOT NULL AND NOT EXISTS/,
    );
    assert.doesNotMatch(stdout, /secret/);
    await islands.a.rows("DELETE FROM microsharding.microsharding_leases_; TRUNCATE sh0002.child");
    assert.equal((await run(["validate", "--shard=1"], islands)).status, 0);
    assert.equal((await run(["validate", "--shards=1-2"], islands)).status, 0);
    assert.equal((await run(["validate"], islands)).stdout, "All foreign keys of these shards are valid.\n");
    assert.deepEqual(await islands.a.rows("SELECT FROM microsharding.microsharding_leases_"), []);
    assert.equal((await run(["validate", "--shard=9"], islands)).status, 2);
  });
});
