import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { Client } from "pg";

import { type DropOptions, dropSchema } from "../../../src/postgres/schema/drop-schema.ts";
import { OutsideDependentsError } from "../../../src/postgres/schema/outside-dependents.ts";
import { startPostgres } from "../../../src/sandbox/index.ts";
import { createDatabase, type TestDatabase, testIslands, waitFor } from "../../support/index.ts";
import { catalogsIn } from "./catalogs.ts";

/** A patience that never gives up, and records what it was told. */
function options(database: TestDatabase): DropOptions & { waits: string[]; left: number[] } {
  const waits: string[] = [];
  const left: number[] = [];
  return {
    waits,
    left,
    island: "here",
    patience: { pause: (ms) => sleep(ms), beat: ({ waitingFor }) => void waits.push(waitingFor) },
    lend: (use) => database.withClient(use),
    tell: (number) => void left.push(number),
  };
}

const drop = (database: TestDatabase, schema: string, how: DropOptions = options(database)): Promise<void> =>
  database.withClient((client) => dropSchema(client, schema, how));

/** Tables with a key, a sequence, a large value, and a reference to the one before. */
const tables = (schema: string, count: number): string =>
  Array.from(
    { length: count },
    (_, i) =>
      `CREATE TABLE ${schema}."T ""${i}" (id serial PRIMARY KEY, t text${i > 0 ? `, up int REFERENCES ${schema}."T ""${i - 1}"` : ""})`,
  ).join(";\n");

describe("dropping a schema", { timeout: 600_000 }, () => {
  let database: TestDatabase;
  before(async () => {
    database = await createDatabase((await testIslands()).a);
  });

  it("drops one with thousands of objects, for which a single DROP SCHEMA would exhaust the lock table", async () => {
    const server = await startPostgres({
      version: 17,
      settings: { max_locks_per_transaction: "10", max_connections: "20", max_wal_senders: "2" },
    });
    const small = await createDatabase(server);
    await small.withClient(async (client) => {
      await client.query('CREATE SCHEMA "Big ""one"');
      for (const kind of ["VIEW", "MATERIALIZED VIEW"]) {
        for (let i = 0; i < 60; i++)
          await client.query(`CREATE ${kind} "Big ""one"."${kind} ${i}" AS SELECT ${i} AS n`);
      }
      for (let i = 0; i < 60; i++) await client.query(`CREATE SEQUENCE "Big ""one".s${i}`);
      for (const sql of tables('"Big ""one"', 400).split(";\n")) await client.query(sql);
      await client.query('CREATE TABLE "Big ""one".parts (id int) PARTITION BY RANGE (id)');
      for (let i = 0; i < 200; i++)
        await client.query(
          `CREATE TABLE "Big ""one".part${i} PARTITION OF "Big ""one".parts FOR VALUES FROM (${i}) TO (${i + 1})`,
        );
      await assert.rejects(client.query('DROP SCHEMA "Big ""one" CASCADE'), /out of shared memory/);
    });
    const how = options(small);
    await drop(small, 'Big "one', how);
    assert.deepEqual(await catalogsIn(small, 'Big "one'), []);
    assert.deepEqual([how.left[0]! > 700, how.left.at(-1)], [true, 0]);
    await drop(small, 'Big "one');
    await small.drop();
    await server.remove();
  });

  it("refuses when something outside is built on it, in whatever way, and drops nothing", async () => {
    await database.rows("CREATE SCHEMA own; CREATE SCHEMA other");
    await database.rows(`
      CREATE TABLE own.t (id int PRIMARY KEY, n int); CREATE VIEW own.v AS SELECT * FROM own.t;
      CREATE TYPE own.mood AS ENUM ('good'); CREATE DOMAIN own.small AS int CHECK (VALUE < 9); CREATE SEQUENCE own.s;
      CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE own.parent (id int);
      CREATE TABLE other.t (id int, n int)`);
    const ways: Record<string, [create: string, undo: string]> = {
      "view other.way": ["CREATE VIEW other.way AS SELECT * FROM own.v", "DROP VIEW other.way"],
      "materialized view other.way": [
        "CREATE MATERIALIZED VIEW other.way AS SELECT * FROM own.t",
        "DROP MATERIALIZED VIEW other.way",
      ],
      "table constraint way on other.t": [
        "ALTER TABLE other.t ADD CONSTRAINT way FOREIGN KEY (n) REFERENCES own.t",
        "ALTER TABLE other.t DROP CONSTRAINT way",
      ],
      "function other.way()": [
        "CREATE FUNCTION other.way() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM own.t; END",
        "DROP FUNCTION other.way",
      ],
      "default value for other.t.n": [
        "ALTER TABLE other.t ALTER n SET DEFAULT nextval('own.s')",
        "ALTER TABLE other.t ALTER n DROP DEFAULT",
      ],
      "table other.way": ["CREATE TABLE other.way (m own.mood)", "DROP TABLE other.way"],
      "type other.way": ["CREATE DOMAIN other.way AS own.small", "DROP DOMAIN other.way"],
      "policy way on other.t": [
        "CREATE POLICY way ON other.t USING (n IN (SELECT n FROM own.t))",
        "DROP POLICY way ON other.t",
      ],
      "index other.way": [
        "CREATE FUNCTION own.g(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE INDEX way ON other.t (own.g(n))",
        "DROP INDEX other.way",
      ],
      "rule way on other.t": [
        "CREATE RULE way AS ON DELETE TO other.t DO ALSO DELETE FROM own.t",
        "DROP RULE way ON other.t",
      ],
      "cast (own.mood AS integer)": [
        "CREATE FUNCTION own.c(own.mood) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE CAST (own.mood AS int) WITH FUNCTION own.c(own.mood)",
        "DROP CAST (own.mood AS int)",
      ],
    };
    for (const [name, [create, undo]] of Object.entries(ways)) {
      await database.rows(create);
      const before = await catalogsIn(database, "own");
      await assert.rejects(drop(database, "own"), (error: Error) => {
        assert.ok(error instanceof OutsideDependentsError, error.stack);
        const [, named] = /with it \((.*)\);/.exec(error.message) ?? [];
        assert.equal(named, name);
        return true;
      });
      assert.deepEqual(await catalogsIn(database, "own"), before);
      await database.rows(undo);
    }
    await database.rows("CREATE PUBLICATION everything FOR TABLE own.t");
    await drop(database, "own");
    assert.deepEqual(await catalogsIn(database, "own"), []);
    assert.equal((await catalogsIn(database, "other")).length > 0, true);
  });

  it("waits for a lock only in short bursts, names the blocker, and gives up when it is told to", async () => {
    await database.rows(`CREATE SCHEMA busy; CREATE TABLE busy.t (id int); CREATE TABLE busy.u (id int)`);
    await database.withClient(async (reader: Client) => {
      await reader.query("BEGIN; SELECT FROM busy.t");
      const impatient = options(database);
      // On a busy machine, a look may come too late to see the blocker.
      const named = (): boolean => impatient.waits.some((wait) => /pid \d+ .*SELECT FROM busy\.t/.test(wait));
      impatient.patience.pause = (ms) => (named() ? Promise.reject(new Error("enough")) : sleep(ms));
      await assert.rejects(drop(database, "busy", impatient), /enough/);
      assert.notDeepEqual(await catalogsIn(database, "busy"), []);

      const patient = options(database);
      const dropping = drop(database, "busy", patient);
      await waitFor(() => patient.waits.length > 1, { what: "the drop to have waited twice" });
      // Others that come while it waits do not queue behind it for long.
      await database.withClient((client) => client.query("SET lock_timeout = '1s'; SELECT FROM busy.t"));
      await reader.query("COMMIT");
      await dropping;
    });
    assert.deepEqual(await catalogsIn(database, "busy"), []);
  });

  it("stops when the schema is no longer the one that was to be dropped", async () => {
    await database.rows(`CREATE SCHEMA changing; CREATE TABLE changing.t (id int)`);
    const how = options(database);
    how.ensureSame = () => Promise.reject(new Error("another one"));
    await assert.rejects(drop(database, "changing", how), /another one/);
    assert.notDeepEqual(await catalogsIn(database, "changing"), []);
  });
});
