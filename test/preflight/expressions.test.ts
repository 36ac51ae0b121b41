import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { CheckContext } from "../../src/preflight/check.ts";
import { expressionsWithoutPath } from "../../src/preflight/expressions.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";

/** `ok` finds `blank` by search_path only. */
const FUNCTIONS = `
  CREATE FUNCTION sh0042.blank(text) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btrim($1) = ''''';
  CREATE FUNCTION sh0042.ok(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE STRICT AS 'BEGIN RETURN NOT blank($1); END';
  CREATE FUNCTION sh0042.slow(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(60); RETURN true; END';
  CREATE FUNCTION sh0042.writes(text) RETURNS bool LANGUAGE plpgsql AS
    'BEGIN INSERT INTO sh0042.written VALUES ($1); RETURN true; END';
  CREATE TABLE sh0042.written (t text)`;

/** What computes with `ok`, each with what is said about it. */
const USERS: Record<string, string> = {
  "CHECK t_t_check of table t":
    "CREATE TABLE sh0042.t (id int, t text CHECK (sh0042.ok(t))); INSERT INTO sh0042.t VALUES (1, NULL), (2, 'a')",
  "generated column g of table t":
    "CREATE TABLE sh0042.t (t text, g bool GENERATED ALWAYS AS (sh0042.ok(t)) STORED); INSERT INTO sh0042.t VALUES ('a')",
  "index i of table t":
    "CREATE TABLE sh0042.t (t text); CREATE INDEX i ON sh0042.t (sh0042.ok(t)); INSERT INTO sh0042.t VALUES ('a')",
  "index p of table t":
    "CREATE TABLE sh0042.t (t text); CREATE INDEX p ON sh0042.t (t) WHERE sh0042.ok(t); INSERT INTO sh0042.t VALUES ('a')",
  "the domain of column d of table t":
    "CREATE DOMAIN sh0042.filled AS text CHECK (sh0042.ok(VALUE)); CREATE TABLE sh0042.t (d sh0042.filled[]); INSERT INTO sh0042.t VALUES ('{a}')",
  "the domain of column r of table t":
    "CREATE DOMAIN sh0042.filled AS text CHECK (sh0042.ok(VALUE)); CREATE TYPE sh0042.span AS RANGE (subtype = sh0042.filled); CREATE TABLE sh0042.t (r sh0042.span); INSERT INTO sh0042.t VALUES ('[a,b]')",
  "the partition key of table t":
    "CREATE TABLE sh0042.t (t text) PARTITION BY LIST (sh0042.ok(t)); CREATE TABLE sh0042.part PARTITION OF sh0042.t DEFAULT; INSERT INTO sh0042.t VALUES ('a')",
  "statistics s of table t":
    "CREATE TABLE sh0042.t (t text); INSERT INTO sh0042.t VALUES ('a'); CREATE STATISTICS sh0042.s ON sh0042.ok(t), t FROM sh0042.t",
  "materialized view m":
    "CREATE VIEW sh0042.v AS SELECT sh0042.ok('a'::text || now()); CREATE MATERIALIZED VIEW sh0042.m AS SELECT * FROM sh0042.v WITH NO DATA; UPDATE pg_class SET relispopulated = true WHERE relname = 'm'",
};

async function check(database: TestDatabase, serverMajor = 17): Promise<string[]> {
  return database.withClient((source) =>
    expressionsWithoutPath({
      source,
      request: { schema: "sh0042" },
      from: { name: "a" },
      to: { identity: { serverMajor } },
      alive: () => undefined,
    } as unknown as CheckContext),
  );
}

async function prepared(sql: string): Promise<TestDatabase> {
  const database = await createDatabase((await testIslands()).a);
  await database.withClient(async (client) => {
    await client.query(`CREATE SCHEMA sh0042; SET search_path = sh0042, public; ${FUNCTIONS}`);
    await client.query(sql);
  });
  return database;
}

describe("functions that rely on search_path", () => {
  for (const [what, sql] of Object.entries(USERS)) {
    it(`are refused in ${what}, with a remedy that helps`, async () => {
      const database = await prepared(sql);
      const [problem = "", ...more] = await check(database);
      assert.deepEqual(more, []);
      assert.ok(problem?.startsWith(`${what} on a calls a function that fails`), problem);
      assert.match(problem, /function blank\(text\) does not exist/);
      const remedy = "ALTER FUNCTION sh0042.ok(text) SET search_path = sh0042, public";
      assert.ok(problem.endsWith(`: ${remedy}`), problem);
      await database.rows(remedy);
      assert.deepEqual(await check(database), []);
    });
  }

  it("may be called by materialized views where the destination refreshes with our search_path", async () => {
    const database = await prepared(USERS["materialized view m"]!);
    assert.deepEqual(await check(database, 16), []);
  });

  it("are neither waited for nor do they write", async () => {
    const database = await prepared(
      `CREATE TABLE sh0042.t (t text CHECK (sh0042.writes(t)), u text CHECK (sh0042.slow(u)));
       INSERT INTO sh0042.written VALUES ('a');
       CREATE TABLE sh0042.filled (t text); INSERT INTO sh0042.filled VALUES ('a');
       ALTER TABLE sh0042.filled ADD CHECK (sh0042.writes(t)) NOT VALID, ADD CHECK (sh0042.slow(t)) NOT VALID`,
    );
    const begin = performance.now();
    assert.deepEqual(await check(database), []);
    assert.ok(performance.now() - begin < 20_000);
    assert.deepEqual(await database.rows("SELECT t FROM sh0042.written"), [{ t: "a" }]);
  });

  it("are named by preflight before anything is created", async () => {
    const world = await createWorld();
    await createShard(
      world.a,
      42,
      `SET search_path = sh0042, public; ${FUNCTIONS}; ${USERS["CHECK t_t_check of table t"]}`,
    );
    await world.startWorker();
    await assert.rejects(
      resultOf(await world.startMove()),
      /ALTER FUNCTION sh0042\.ok\(text\) SET search_path/,
    );
  });
});
