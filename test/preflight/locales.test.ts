import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type CheckContext, readServer } from "../../src/preflight/check.ts";
import { otherLocale, rangesOfText } from "../../src/preflight/locales.ts";
import { createDatabase, testIslands } from "../support/index.ts";

const SHARD = `CREATE SCHEMA sh0042;
  CREATE TABLE sh0042.ranged (t text) PARTITION BY RANGE (t);
  CREATE TABLE sh0042.exact (t text COLLATE "C") PARTITION BY RANGE (t);
  CREATE TABLE sh0042.t (a text CHECK (a < 'm'), b text GENERATED ALWAYS AS (upper(a)) STORED, n int CHECK (n > 0));
  CREATE UNIQUE INDEX folded ON sh0042.t (lower(a));`;

/** Compares a source whose locale is C with a destination whose catalog says that it has another one. */
async function look(locale: string): Promise<string[][]> {
  const { a, b } = await testIslands();
  const [source, destination] = [
    await createDatabase(a, { encoding: "UTF8" }),
    await createDatabase(b, { encoding: "UTF8" }),
  ];
  await source.rows(SHARD);
  const say = `UPDATE pg_database SET datcollate = $1, datctype = $1 WHERE datname = current_database()`;
  return source.withClient((from) =>
    destination.withClient(async (to) => {
      // Only in this session: nobody could connect to a database with a locale that its system lacks.
      await to.query("BEGIN");
      await to.query(say, [locale]);
      const context = {
        source: from,
        request: { schema: "sh0042" },
        from: await readServer(from, "a"),
        to: await readServer(to, "b"),
      } as unknown as CheckContext;
      await to.query("ROLLBACK");
      return [await rangesOfText(context), await otherLocale(context)];
    }),
  );
}

describe("databases with different default locales", () => {
  it("refuse partitions by ranges of text, and warn of what else depends on it", async () => {
    const [problems, warnings] = await look("en_US.UTF-8");
    assert.deepEqual(problems, [
      'table "ranged" on a is partitioned by ranges of text, which a sorts by C but b by en_US.utf8: rows would belong in other ' +
        "partitions; create the destination's database with the locale of the source",
    ]);
    assert.deepEqual(warnings, [
      "the default locales of a and b differ (collate C and en_US.utf8, ctype C and en_US.utf8): text may be sorted, compared and " +
        "folded differently, in the copy too: constraint t_a_check of t, generated column b of t, unique index folded of t",
    ]);
  });

  it("are not different if they are only spelled differently", async () => {
    assert.deepEqual(await look("POSIX"), [[], []]);
  });

  it("refuse no ranges of text that are sorted by code points on both sides", async () => {
    const [problems, warnings] = await look("C.UTF-8");
    assert.deepEqual(problems, []);
    assert.match(warnings![0]!, /\(ctype C and C\.utf8\)/);
  });
});
