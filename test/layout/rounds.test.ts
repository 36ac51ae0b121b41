import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { loadSettings, type Settings } from "../../src/config/settings.ts";
import { drift } from "../../src/operations/drift.ts";
import { list } from "../../src/operations/list.ts";
import { install } from "../../src/postgres/api/install.ts";
import { createShards } from "../drift/islands.ts";
import { behind, createDatabase, Proxy, testIslands, withClient } from "../support/index.ts";
import { countRounds } from "../support/rounds.ts";

const FEW = 3;
const MANY = 60;
/** With a view, whose definition PostgreSQL only shows under a lock. */
const TABLES = `
  CREATE TABLE users (id bigserial PRIMARY KEY, name text UNIQUE);
  CREATE TABLE note (id bigserial PRIMARY KEY, author bigint REFERENCES users);
  CREATE VIEW author AS SELECT DISTINCT author FROM note`;

interface Cluster {
  proxy: Proxy;
  dsns: string;
  perIsland: number;
}

/** Two islands with a given number of shards each, whose clients' round trips can be counted. */
async function createCluster(perIsland: number): Promise<Cluster> {
  const { a } = await testIslands();
  const proxy = await Proxy.start(a);
  const dsns: string[] = [];
  for (const first of [1, 1 + perIsland]) {
    const island = await createDatabase(a);
    await island.withClient((client) => install(client));
    const numbers = Array.from({ length: perIsland }, (_, i) => first + i);
    await createShards(island, numbers, TABLES);
    dsns.push(behind(proxy, a).dsn(island.name));
  }
  return { proxy, dsns: dsns.join(","), perIsland };
}

/** The round trips of an action to each island. */
async function rounds(
  { proxy, dsns }: Cluster,
  run: (settings: Settings) => Promise<unknown>,
  options: { weightSql?: string } = {},
): Promise<number[]> {
  const settings = await loadSettings({
    action: "list",
    options: { dsns, ...options },
    env: {},
    skipConfig: true,
  });
  return countRounds(proxy, () => run(settings));
}

describe("the round trips to an island", () => {
  let few: Cluster;
  let many: Cluster;
  before(async () => {
    few = await createCluster(FEW);
    many = await createCluster(MANY);
  });

  for (const statistics of [false, true]) {
    it(`of list${statistics ? " --verbose" : ""} are as many for ${MANY} shards as for ${FEW}`, async () => {
      const counts = async (cluster: Cluster): Promise<number[]> =>
        rounds(cluster, async (settings) => {
          const { islands } = await list(settings, { statistics });
          for (const { shards } of islands) assert.equal(shards.length, cluster.perIsland);
        });
      const found = await counts(many);
      assert.deepEqual(found, await counts(few));
      // Whether a pooler answers, what the island is, where the SQL API is and what it can do, the shards, ways back; and their statistics.
      assert.deepEqual(found, statistics ? [7, 7] : [6, 6]);
    });
  }

  it("of list --weight-sql, which runs once in each shard, are one for 20 shards", async () => {
    const weightSql = "SELECT count(*) FROM users";
    const [least] = await rounds(few, (settings) => list(settings), { weightSql });
    const extra = MANY / 20 - 1;
    const found = await rounds(many, (settings) => list(settings), { weightSql });
    assert.deepEqual(found, [least! + extra, least! + extra]);
  });

  it(`of drift are as many for ${MANY} shards as for ${FEW}, whether they are alike or not`, async () => {
    const counts = async (cluster: Cluster, groups: number): Promise<number[]> =>
      rounds(cluster, async (settings) => assert.equal((await drift(settings)).groups.length, groups));
    assert.deepEqual(await counts(many, 1), await counts(few, 1));
    const { a } = await testIslands();
    for (const { dsns } of [few, many]) {
      const database = new URL(dsns.split(",")[0]!).pathname.slice(1);
      await withClient(a.dsn(database), (client) => client.query("DROP VIEW sh0002.author"));
    }
    assert.deepEqual(await counts(many, 2), await counts(few, 2));
  });
});
