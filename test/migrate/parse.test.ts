import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { MigrateInput, MigrateMode } from "../../contract/migrate.ts";
import { excerpt } from "../../src/migrations/excerpt.ts";
import { describeFailure } from "../../src/migrations/failure.ts";
import { migrationHash, parseMigration } from "../../src/migrations/parse.ts";

const parse = (sql: string, mode: MigrateMode = "all"): Promise<string[]> =>
  parseMigration(sql, "m.sql", mode).then((statements) => statements.map((one) => one.sql));

/** Statements that cannot be in one transaction across several servers, and whether they can be run one shard at a time. */
const REFUSED: [sql: string, says: RegExp, each: boolean][] = [
  ["CREATE INDEX CONCURRENTLY i ON t (a)", /CREATE INDEX CONCURRENTLY.*--mode=each/, true],
  ["DROP INDEX CONCURRENTLY i", /DROP INDEX CONCURRENTLY/, true],
  ["REINDEX TABLE CONCURRENTLY t", /REINDEX CONCURRENTLY/, true],
  ["REINDEX (CONCURRENTLY) TABLE t", /REINDEX CONCURRENTLY/, true],
  ["VACUUM t", /VACUUM/, true],
  ["ALTER TABLE t DETACH PARTITION p CONCURRENTLY", /DETACH PARTITION CONCURRENTLY/, true],
  ["CREATE TEMP TABLE t (a int)", /temporary/, true],
  ["CREATE TEMP VIEW v AS SELECT 1", /temporary/, true],
  ["SELECT 1 AS a INTO TEMP t", /temporary/, true],
  ["NOTIFY x", /NOTIFY/, true],
  ["DECLARE c CURSOR WITH HOLD FOR SELECT 1", /cursor/, true],
  ["START TRANSACTION", /is a transaction by itself/, false],
  ["SAVEPOINT a", /is a transaction by itself/, false],
  ["PREPARE TRANSACTION 'x'", /is a transaction by itself/, false],
  ["SET search_path TO x", /leave out SET search_path/, false],
  ["SET LOCAL search_path = x", /leave out SET search_path/, false],
  ["RESET search_path", /leave out SET search_path/, false],
  ["SELECT pg_catalog.set_config('Search_Path', 'x', true)", /set_config/, false],
  ["SET lock_timeout = 0", /relies on lock timeout/, false],
  ["RESET ALL", /settings of the session/, false],
  ["SET ROLE x", /relies on role/, false],
  ["DISCARD ALL", /DISCARD/, false],
  ["ALTER SYSTEM SET work_mem = '1MB'", /about the server/, false],
  ["CREATE DATABASE x", /about the server/, false],
  ["CREATE ROLE x PASSWORD 'secret'", /password must not get into the history/, false],
  ["COPY t FROM STDIN", /use INSERT/, false],
];

describe("the SQL of a migration", () => {
  for (const [sql, says, each] of REFUSED) {
    it(`${sql} is refused before anything runs`, async () => {
      await assert.rejects(parse(`SELECT 1;\n${sql}`), (error: Error) => {
        assert.match(error.message, says);
        assert.match(error.message, /m\.sql:2\n/);
        assert.doesNotMatch(error.message.split("\n")[0]!, /secret/);
        return true;
      });
      if (each) assert.equal((await parse(sql, "each")).length, 1);
      else await assert.rejects(parse(sql, "each"), says);
    });
  }

  it("may have BEGIN and COMMIT around the whole of it, where it is one transaction", async () => {
    for (const [begin, end] of [
      ["BEGIN;", "COMMIT"],
      ["-- first\nSTART TRANSACTION;", "END;\n-- last"],
    ] as const) {
      assert.deepEqual(await parse(`${begin} SELECT 1; SELECT 2; ${end}`), ["SELECT 1", "SELECT 2"]);
      await assert.rejects(parse(`${begin} SELECT 1; ${end}`, "each"), /transaction by itself/);
    }
    for (const sql of [
      "BEGIN; SELECT 1",
      "SELECT 1; COMMIT",
      "BEGIN; SELECT 1; ROLLBACK",
      "BEGIN; SELECT 1; COMMIT AND CHAIN",
      "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT",
      "BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT",
    ])
      await assert.rejects(parse(sql), /transaction by itself/, sql);
    await assert.rejects(parse("BEGIN; COMMIT"), /contains no statement/);
  });

  it("is split by PostgreSQL's own grammar, comments and dollar quotes included", async () => {
    const body = "DO $x$ BEGIN PERFORM 1; -- ;\nEND $x$";
    const sql = `-- first; comment\n${body};\n\n/* a /* nested */ one */ ALTER TABLE t ADD a int -- last\n;;`;
    assert.deepEqual(await parse(sql), [body, "ALTER TABLE t ADD a int -- last"]);
  });

  it("accepts what may be in a transaction, even if it is named like something that may not", async () => {
    const sql =
      "ANALYZE t; REINDEX TABLE t; CREATE INDEX i ON t (a); SET work_mem = '1MB'; CREATE UNLOGGED TABLE u ();";
    assert.equal((await parse(sql)).length, 5);
  });

  it("has a place for every statement, counted in characters and not in bytes", async () => {
    const text = "SELECT 'äöü€😀';\n\tSELECT 2;";
    const [, second] = await parseMigration(text, "m.sql", "all");
    assert.equal(excerpt("m.sql", text, second!.start), "m.sql:2\n  \tSELECT 2;\n  \t^");
  });

  it("is the same with other line endings", () => {
    assert.equal(migrationHash("a\r\nb"), migrationHash("a\nb"));
    assert.notEqual(migrationHash("a b"), migrationHash("a\nb"));
  });

  it("that fails in the global shard, which nobody named, says so", () => {
    const migration = { source: "x.sql", sql: "SELECT", shards: null } as MigrateInput;
    const failing = (schema: string, shards: MigrateInput["shards"], message: string): string => {
      const place = { island: "a/b", schema, statement: null, offset: 0 };
      return describeFailure(
        { ...migration, shards },
        place,
        Object.assign(new Error(message), { code: "42704" }),
      );
    };
    assert.match(
      failing("sh0000", null, "x"),
      /sh0000 is the global shard.*unless --shards names only the others/,
    );
    assert.doesNotMatch(failing("sh0010", null, "x"), /global/);
    assert.doesNotMatch(failing("sh0000", [[0, 3]], "x"), /global/);
    assert.doesNotMatch(failing("sh0010", null, 'role "x" does not exist'), /search_path/);
  });
});
