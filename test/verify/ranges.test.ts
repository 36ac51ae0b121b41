import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import fc from "fast-check";

import { settleKeys } from "../../src/verify/compare-keys.ts";
import { compareMultisets } from "../../src/verify/compare-multisets.ts";
import { compareRanges } from "../../src/verify/compare-ranges.ts";
import { MOST_DIFFERENCES } from "../../src/verify/difference.ts";
import { Pace } from "../../src/verify/pace.ts";
import type { Sides } from "../../src/verify/sides.ts";
import type { Key, KeyedTable } from "../../src/verify/sql.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";
import { withBothSides } from "./both-sides.ts";

const SCHEMA = "sh0001";
const calm = (): Promise<void> => Promise.resolve();

let source: TestDatabase;
let destination: TestDatabase;

before(async () => {
  const { a, b } = await testIslands();
  [source, destination] = await Promise.all([createDatabase(a), createDatabase(b)]);
});

/** The same on both sides. */
const both = async (sql: string): Promise<void> => {
  await Promise.all([source.rows(sql), destination.rows(sql)]);
};

const comparing = <T>(use: (sides: Sides<KeyedTable>) => Promise<T>): Promise<T> =>
  withBothSides(source, destination, SCHEMA, (all) =>
    use((all.get("t")!.keyed ?? all.get("t")!.all) as Sides<KeyedTable>),
  );

const paceOf = (mostRows: number, onRange: (rows: number, end: Key | null) => void = () => undefined): Pace =>
  new Pace({ bytesPerRow: 1, mostRows, before: calm, onRange });

const fresh = (table: string, rows: string): Promise<void> =>
  both(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE; CREATE SCHEMA ${SCHEMA}; CREATE TABLE ${SCHEMA}.t ${table};
        INSERT INTO ${SCHEMA}.t ${rows}`);

describe("a table with a key", () => {
  it("is compared up to its last row, and a row is missed in no place", async () => {
    await fresh("(id int PRIMARY KEY, v text)", "SELECT i, 'v' || i FROM generate_series(1, 21) i");
    // Ranges of 7 rows end at 7 and 14, and at 21 comes an empty one.
    for (let id = 0; id <= 22; id++) {
      const ends: (Key | null)[] = [];
      const change =
        id === 0 || id === 22
          ? `INSERT INTO ${SCHEMA}.t VALUES (${id}, 'more')`
          : `DELETE FROM ${SCHEMA}.t WHERE id = ${id}`;
      await destination.rows(change);
      const { differences, rows } = await comparing((sides) =>
        compareRanges(
          sides,
          paceOf(7, (_, end) => ends.push(end)),
        ),
      );
      assert.deepEqual(
        differences.map(({ key, missing }) => [key, missing]),
        [[`id = ${id}`, id === 0 || id === 22 ? "source" : "destination"]],
      );
      assert.equal(rows, 21);
      // From the first difference on, a further attempt would begin anew.
      const settled = id === 0 ? 0 : Math.ceil(id / 7) - 1;
      assert.deepEqual(ends, [["7"], ["14"], ["21"], null].fill(null, settled));
      await both(
        `TRUNCATE ${SCHEMA}.t; INSERT INTO ${SCHEMA}.t SELECT i, 'v' || i FROM generate_series(1, 21) i`,
      );
    }
  });

  it("has ranges by a key of several columns with hostile values, and goes on after one of them", async () => {
    await fresh(
      `(n numeric, "we""ird" text COLLATE "C", d timestamptz, v int, PRIMARY KEY (n, "we""ird", d))`,
      `SELECT i % 3, chr(34) || chr(39) || ',{}' || i, timestamptz '2026-01-01' + i * interval '1 s', i FROM generate_series(1, 40) i`,
    );
    const ends: Key[] = [];
    await comparing((sides) =>
      compareRanges(
        sides,
        paceOf(6, (_, end) => end && ends.push(end)),
      ),
    );
    assert.equal(ends.length, 6);
    await destination.rows(`UPDATE ${SCHEMA}.t SET v = -1 WHERE v = 39`);
    await comparing(async (sides) => {
      const { differences, rows } = await compareRanges(sides, paceOf(6));
      assert.equal(rows, 40);
      assert.deepEqual(
        differences.map(({ columns }) => columns),
        [[{ name: "v", source: "39", destination: "-1" }]],
      );
      const rest = await compareRanges(sides, paceOf(6), ends.at(-2));
      assert.ok(rest.rows < 12, String(rest.rows));
    });
  });

  it("is compared whole even if the two sides sort its key differently", async () => {
    const rows = "SELECT chr(65 + i % 26) || lower(chr(65 + i % 7)) || i, i FROM generate_series(1, 300) i";
    const create = (
      type: string,
    ): string => `DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE; CREATE SCHEMA ${SCHEMA};
      CREATE TABLE ${SCHEMA}.t (k ${type} PRIMARY KEY, v int); INSERT INTO ${SCHEMA}.t ${rows}`;
    await source.rows(create('text COLLATE "C"'));
    await destination.rows(`CREATE EXTENSION citext; ${create("citext")}`);
    // As if the index were ordered by another version of a collation.
    assert.deepEqual((await comparing((sides) => compareRanges(sides, paceOf(7)))).differences, []);
    await destination.rows(
      `DELETE FROM ${SCHEMA}.t WHERE v = 150; INSERT INTO ${SCHEMA}.t VALUES ('more', 0)`,
    );
    const { differences } = await comparing((sides) => compareRanges(sides, paceOf(7)));
    assert.deepEqual(differences.map(({ missing }) => missing).sort(), ["destination", "source"]);
  });

  it("stops at a number of differences", async () => {
    await fresh("(id int PRIMARY KEY, v int)", "SELECT i, i FROM generate_series(1, 1000) i");
    await destination.rows(`UPDATE ${SCHEMA}.t SET v = -v`);
    const { differences } = await comparing((sides) => compareRanges(sides, paceOf(64)));
    assert.equal(differences.length, MOST_DIFFERENCES);
  });
});

it("a row that changes in every round is neither the same nor different", async () => {
  await fresh("(id int PRIMARY KEY, v int)", "SELECT i, i FROM generate_series(1, 10) i");
  await destination.rows(`UPDATE ${SCHEMA}.t SET v = -1 WHERE id IN (3, 5)`);
  let rounds = 0;
  const settled = await comparing((sides) => {
    const caughtUp = async (): Promise<void> => {
      rounds++;
      await source.rows(`UPDATE ${SCHEMA}.t SET v = v + 1 WHERE id = 3`);
    };
    return settleKeys({ ...sides, caughtUp }, [["3"], ["5"], ["7"]]);
  });
  assert.deepEqual(settled, { different: [["5"]], changing: [["3"]] });
  assert.equal(rounds, 8);
});

it("a table without a key is compared as a multiset", async () => {
  await fresh("(v text)", "SELECT 'v' || i % 10 FROM generate_series(1, 100) i");
  const differences = () => comparing(async (sides) => (await compareMultisets(sides, calm)).differences);
  assert.deepEqual(await differences(), []);
  await destination.rows(
    `DELETE FROM ${SCHEMA}.t WHERE ctid = (SELECT max(ctid) FROM ${SCHEMA}.t WHERE v = 'v3')`,
  );
  const [lost, ...others] = await differences();
  assert.deepEqual(others, []);
  assert.equal(lost!.missing, "destination");
  assert.match(
    lost!.key,
    /^the row \(v3\), which is there 10 times on the source and 9 times on the destination$/,
  );
});

it("finds whatever EXCEPT ALL finds", async () => {
  const row = fc.record({
    id: fc.integer({ min: 1, max: 40 }),
    v: fc.constantFrom(null, "", "a", "A", "a ", "1.0"),
  });
  const rows = fc.uniqueArray(row, { selector: ({ id }) => id, maxLength: 40 });
  await fresh("(id int PRIMARY KEY, v text)", "SELECT 1, 'a'");
  const fill = async (database: TestDatabase, all: { id: number; v: string | null }[]): Promise<void> => {
    await database.rows(`TRUNCATE ${SCHEMA}.t`);
    await database.rows(
      `INSERT INTO ${SCHEMA}.t SELECT * FROM json_populate_recordset(NULL::${SCHEMA}.t, $1)`,
      [JSON.stringify(all)],
    );
  };
  const text = ({ id, v }: { id: number; v: string | null }): string => JSON.stringify([id, v]);
  await fc.assert(
    fc.asyncProperty(rows, rows, fc.integer({ min: 1, max: 9 }), async (here, there, most) => {
      await Promise.all([fill(source, here), fill(destination, there)]);
      const [ours, theirs] = [new Set(here.map(text)), new Set(there.map(text))];
      const expected = new Set([
        ...here.filter((one) => !theirs.has(text(one))).map(({ id }) => `id = ${id}`),
        ...there.filter((one) => !ours.has(text(one))).map(({ id }) => `id = ${id}`),
      ]);
      await comparing(async (sides) => {
        const { differences } = await compareRanges(sides, paceOf(most));
        assert.deepEqual(differences.map(({ key }) => key).sort(), [...expected].sort());
        const multiset = await compareMultisets(sides, calm);
        assert.equal(multiset.differences.length > 0, expected.size > 0);
      });
    }),
    { numRuns: 40 },
  );
});
