import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { toFailure } from "../../activities/attempt/failures.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";

/** Statements that fail on a row, and what has to remain of the server's words. */
const FAILING: Record<string, RegExp> = {
  "INSERT INTO t (id) VALUES (771)": /duplicate key value violates unique constraint "t_pkey"/,
  "INSERT INTO t VALUES (1, 'secret')": /new row for relation "t" violates check constraint "t_v_check"/,
  "INSERT INTO parts VALUES (771)": /no partition of relation "parts" found for row/,
  "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES r": /violates foreign key constraint/,
  "CREATE UNIQUE INDEX ON doubled (v)": /could not create unique index "doubled_v_idx"/,
  "SELECT v::int FROM doubled": /invalid input syntax for type integer/,
  "SELECT v::json FROM doubled": /invalid input syntax for type json/,
  "SELECT v::mood FROM doubled": /invalid input value for enum mood/,
  "SELECT (id || '0000000000')::int FROM t": /out of range for type integer/,
  "SELECT fails(v) FROM doubled": /in PL\/pgSQL function fails\(text\) line 1 at RETURN/,
};

describe("the failure of a step", () => {
  let database: TestDatabase;
  before(async () => {
    database = await createDatabase((await testIslands()).a);
    await database.rows(`CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v <> 'secret')); INSERT INTO t VALUES (771, 'x');
      CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE r (id int PRIMARY KEY); CREATE TYPE mood AS ENUM ('sad');
      CREATE TABLE doubled (v text); INSERT INTO doubled VALUES ('secret'), ('secret');
      CREATE FUNCTION fails(text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1::int; END'`);
  });

  for (const [sql, remains] of Object.entries(FAILING)) {
    it(`contains no row: ${sql}`, async () => {
      const error = await database
        .withClient((client) => client.query(sql))
        .catch((thrown: unknown) => thrown);
      const { message } = toFailure(error, (text) => text);
      assert.match(message, remains);
      assert.doesNotMatch(message, /secret|771/);
    });
  }

  it("contains no row of a COPY, but its place", async () => {
    const where = 'COPY t, line 3, column v: "secret"';
    const error = Object.assign(new Error('invalid input syntax for type integer: "secret"'), {
      code: "22P02",
      where,
    });
    assert.equal(
      toFailure(error, (text) => text).message,
      'invalid input syntax for type integer: "…"; in COPY t, line 3, column v; SQLSTATE 22P02',
    );
    const whole = Object.assign(new Error('missing data for column "v"'), {
      code: "22P04",
      where: 'COPY t, line 2: "1\tsecret"',
    });
    assert.equal(
      toFailure(whole, (text) => text).message,
      'missing data for column "v"; in COPY t, line 2; SQLSTATE 22P04',
    );
  });
});
