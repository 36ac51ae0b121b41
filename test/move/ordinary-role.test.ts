import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import pg from "pg";

import { install } from "../../src/postgres/api/install.ts";
import {
  createDatabase,
  expectNoLeftovers,
  type TestDatabase,
  testIslands,
  withClient,
} from "../support/index.ts";
import type { TestServer } from "../support/servers.ts";
import { activePlaces, createShard, createWorld, resultOf, type World } from "../support/world.ts";

const ROLE = "ordinary_mover";

const servers = async (): Promise<TestServer[]> => {
  const { a, b } = await testIslands();
  return [a, b];
};

/** The same database, with that role. */
function byRole(database: TestDatabase): TestDatabase {
  const dsn = database.dsn.replace(/\/\/[^@]*@/, `//${ROLE}:secret@`);
  return {
    ...database,
    dsn,
    withClient: (work) => withClient(dsn, work),
    rows: async <Row extends object>(sql: string, values: unknown[] = []) =>
      withClient(dsn, async (client) => (await client.query<Row>(sql, values)).rows),
  };
}

describe("a role that is not a superuser and has the documented rights", () => {
  let world: World;
  before(async () => {
    const [a, b] = await Promise.all(
      (await servers()).map(async (server) => {
        const database = await createDatabase(server);
        await database.rows(`CREATE ROLE ${ROLE} LOGIN REPLICATION PASSWORD 'secret'`);
        await database.rows(`GRANT pg_create_subscription TO ${ROLE}`);
        await database.rows(`ALTER DATABASE ${database.name} OWNER TO ${ROLE}`);
        const own = byRole(database);
        await own.withClient((client) => install(client));
        return own;
      }),
    );
    world = await createWorld({ islands: { a: a!, b: b! }, forFile: true });
    await createShard(
      world.a,
      42,
      `CREATE TABLE sh0042.users (id bigserial PRIMARY KEY, parent bigint REFERENCES sh0042.users);
       INSERT INTO sh0042.users (parent) SELECT NULL FROM generate_series(1, 100);
       CREATE MATERIALIZED VIEW sh0042.counted AS SELECT count(*) FROM sh0042.users`,
    );
    await world.startWorker();
  });
  after(async () => {
    await Promise.all([world.a, world.b].map((database) => database.drop()));
    for (const server of await servers())
      await withClient(server.dsn(), (client) => client.query(`DROP ROLE ${ROLE}`));
  });

  it("is told that it could not see the lag of a replica", async () => {
    const { host, port, user, password } = world.a.server;
    const replica = new pg.Client({ host, port, user, password, replication: "true" } as pg.ClientConfig);
    await replica.connect();
    await assert.rejects(
      resultOf(await world.startMove()),
      /may not see the lag of 1 physical replica of \S+: GRANT pg_read_all_stats TO "ordinary_mover"/,
    );
    await replica.end();
  });

  it("moves a shard with either copy method", async () => {
    const { from, to } = world.input();
    await resultOf(await world.startMove({ copyMethod: "direct" }));
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.b.name]);
    await resultOf(await world.startMove({ from: to, to: from, copyMethod: "tablesync" }));
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
    assert.deepEqual(await world.a.rows("SELECT count(*)::int AS count FROM sh0042.users"), [{ count: 100 }]);
    await expectNoLeftovers(world.a, world.b);
  });
});
