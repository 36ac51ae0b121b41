import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { type Major, type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { createDatabase, expectNoLeftovers, type TestDatabase } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { without } from "../support/versions.ts";
import { createShard, createWorld, resultOf, type World } from "../support/world.ts";
import { createZoo, makeZoo, prepareForZoo } from "../support/zoo.ts";
import {
  contentDifferences,
  ddlDifferences,
  ddlOf,
  type Place,
  restore,
  rowsOf,
} from "../support/zoo-compare.ts";
import { whileWriting } from "../support/zoo-writers.ts";

const SCHEMA = "sh0042";
const LEDGER = "ledger";

const started = new Map<string, Promise<PostgresServer>>();
const serverOf = (version: Major, settings: Record<string, string> = {}): Promise<PostgresServer> => {
  const name = ["island", version, ...Object.values(settings)].join("-");
  const server = started.get(name) ?? startPostgres({ version, name, settings });
  started.set(name, server);
  return server;
};
after(async () => {
  for (const server of started.values()) await (await server).remove();
});

async function worldOf(from: Major, to: Major): Promise<World> {
  const [a, b] = await Promise.all([serverOf(from), serverOf(to)]);
  const world = await createWorld({ servers: { a, b } });
  await world.startWorker();
  return world;
}

/**
 * What the DDL has to be on the destination's server: two versions describe the same view or constraint
 * in different words, so the dump of the source would not do. A newer server gets what PostgreSQL's own
 * pg_dump and psql create there. An older one does not understand that, so there the same objects are created by hand.
 */
async function ddlOn({ server }: TestDatabase, shard: Place): Promise<string[]> {
  const database = await createDatabase(server);
  await prepareForZoo(database);
  if (server.version < shard.database.server.version) {
    await makeZoo(database, SCHEMA, server.version);
    await database.rows(Ledger.tableSql(SCHEMA, LEDGER));
  } else await restore(shard, database);
  const ddl = await ddlOf({ database, schema: SCHEMA }, server.bin);
  await database.drop();
  return ddl;
}

/** The rows of a shard, except those of the ledger, which is still written to after the move. */
async function contentOf(shard: Place): Promise<Map<string, string[]>> {
  const rows = new Map(await rowsOf(shard, SCHEMA));
  rows.delete(LEDGER);
  return rows;
}

describe("a shard with every kind of object that both versions know", { concurrency: 2 }, () => {
  for (const [from, to, copyMethod] of [
    [14, 18, "direct"],
    [15, 18, "tablesync"],
    [18, 15, "direct"],
    [16, 17, "tablesync"],
    [14, 19, "tablesync"],
    [19, 18, "direct"],
  ] as const) {
    const skip = without(from, to);
    it(
      `moves from PostgreSQL ${from} to ${to} while it is written to (${copyMethod})`,
      { skip },
      async () => {
        const world = await worldOf(from, to);
        const { a, b } = world;
        await createZoo(a, b);
        await a.rows(Ledger.tableSql(SCHEMA, LEDGER));
        const ddl = await ddlOn(b, { database: a, schema: SCHEMA });
        const ledger = new Ledger({
          islands: [a.dsn, b.dsn],
          shard: 42,
          schema: SCHEMA,
          writers: 2,
          rate: 50,
        });
        await ledger.start();
        const { leftover } = await whileWriting(a.dsn, SCHEMA, async () =>
          resultOf(await world.startMove({ copyMethod })),
        );
        const { lost, doubled, failures } = await ledger.stop();
        assert.deepEqual({ lost, doubled, failures }, { lost: 0, doubled: 0, failures: [] });
        const [old, moved] = [
          { database: a, schema: leftover! },
          { database: b, schema: SCHEMA },
        ];
        assert.deepEqual(ddlDifferences(ddl, await ddlOf(moved, b.server.bin)), []);
        assert.deepEqual(contentDifferences(await contentOf(old), await contentOf(moved)), []);
        await expectNoLeftovers(a, b);
      },
    );
  }
});

it("a partitioned table with a foreign key moves from 17 to 18 and back", async () => {
  const world = await worldOf(17, 18);
  const { a, b } = world;
  await createShard(
    a,
    42,
    `CREATE TABLE sh0042.acct (id int PRIMARY KEY);
     CREATE TABLE sh0042.ev (acct int NOT NULL REFERENCES sh0042.acct, at date NOT NULL) PARTITION BY RANGE (at);
     CREATE TABLE sh0042.ev25 PARTITION OF sh0042.ev FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
     INSERT INTO sh0042.acct VALUES (1); INSERT INTO sh0042.ev VALUES (1, '2025-02-03')`,
  );
  const [there, back] = [parseDsn(b.dsn).name, parseDsn(a.dsn).name];
  await resultOf(await world.startMove());
  await resultOf(await world.startMove({ from: there, to: back }));
  const keys = await a.rows(
    `SELECT conrelid::regclass::text AS table, convalidated AS valid FROM pg_constraint
     WHERE contype = 'f' AND connamespace = 'sh0042'::regnamespace ORDER BY 1`,
  );
  assert.deepEqual(keys, [
    { table: "sh0042.ev", valid: true },
    { table: "sh0042.ev25", valid: true },
  ]);
  assert.deepEqual(await a.rows("SELECT acct FROM sh0042.ev"), [{ acct: 1 }]);
  await expectNoLeftovers(a, b);
});

it(
  "a shard leaves PostgreSQL 19 with wal_level = replica, where the slot turns on logical decoding",
  { skip: without(19) },
  async () => {
    const [a, b] = await Promise.all([serverOf(19, { wal_level: "replica" }), serverOf(19)]);
    const world = await createWorld({ servers: { a, b } });
    await createShard(
      world.a,
      42,
      "CREATE TABLE sh0042.t (id int PRIMARY KEY); INSERT INTO sh0042.t VALUES (1)",
    );
    await world.startWorker();
    await resultOf(await world.startMove({ copyMethod: "tablesync" }));
    assert.deepEqual(await world.b.rows("SELECT id FROM sh0042.t"), [{ id: 1 }]);
    await expectNoLeftovers(world.a, world.b);
  },
);
