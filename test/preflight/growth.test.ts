import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, describe, it } from "node:test";

import type { ClientBase } from "pg";

import { readReachable, readTriggers } from "../../activities/move/parts/source-facts.ts";
import { install } from "../../src/postgres/api/install.ts";
import { Islands } from "../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { existingObjects } from "../../src/postgres/schema/existing-objects.ts";
import { schemaFingerprint } from "../../src/postgres/schema/fingerprint.ts";
import { readMaterializedViews } from "../../src/postgres/schema/materialized-views.ts";
import { outsideDependents } from "../../src/postgres/schema/outside-dependents.ts";
import { readTables } from "../../src/postgres/schema/tables.ts";
import { readUnvalidatedKeys } from "../../src/postgres/schema/unvalidated-keys.ts";
import { inspect } from "../../src/preflight/inspect.ts";
import { readSequenceDefinitions } from "../../src/sequences/hand-over.ts";
import { readSequences } from "../../src/sequences/read.ts";
import { readComparedTables } from "../../src/verify/tables.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";
import { moveInput } from "../support/move-input.ts";
import { Visited } from "../support/visited.ts";
import { createShard } from "../support/world.ts";

const FEW = 100;
const MANY = 4 * FEW;
/** Linear is 4, quadratic 16; sorting and merging may be somewhat more than linear. */
const MOST = 6;

/** Islands whose sessions are watched. */
class WatchedIslands extends Islands {
  readonly visited = new Visited();

  override withBoth: Islands["withBoth"] = (first, second, use) =>
    // In the other order it calls itself.
    first > second
      ? super.withBoth(first, second, use)
      : super.withBoth(first, second, (one, two) => use(this.visited.watch(one), this.visited.watch(two)));
}

/** Tables as applications have them, with a check that calls a function of the shard. */
async function fill(database: TestDatabase, shard: number, tables: number): Promise<void> {
  const schema = `sh00${shard}`;
  await createShard(
    database,
    shard,
    `CREATE FUNCTION ${schema}.ok(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> ''''';
     CREATE TABLE ${schema}.t0 (id bigserial PRIMARY KEY, n int, up bigint)`,
  );
  for (let from = 1; from < tables; from += 50)
    await database.rows(
      `DO $$ BEGIN FOR i IN ${from}..${Math.min(tables - 1, from + 49)} LOOP
         EXECUTE format('CREATE TABLE ${schema}.t%1$s (id bigserial PRIMARY KEY, name text UNIQUE CHECK (${schema}.ok(name)),
           n int GENERATED ALWAYS AS (length(name)) STORED, up bigint REFERENCES ${schema}.t%2$s)', i, i - 1);
         EXECUTE format('CREATE VIEW ${schema}.v%1$s AS SELECT name FROM ${schema}.t%1$s', i);
       END LOOP; END $$`,
    );
}

const ANALYZE =
  "ANALYZE pg_class, pg_attribute, pg_attrdef, pg_constraint, pg_depend, pg_index, pg_proc, pg_rewrite, pg_sequence, pg_trigger, pg_type";

/** What PostgreSQL believes of its catalogs decides on the plans. */
const STATISTICS: Record<string, string> = {
  "without statistics": "DELETE FROM pg_statistic",
  "with statistics": ANALYZE,
  // As in a database of ten thousand small shards and a large one.
  "with statistics of many small schemas": `${ANALYZE};
    UPDATE pg_statistic SET stadistinct = 100000, stakind1 = 0, stakind2 = 0, stakind3 = 0
    WHERE starelid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass)
      AND staattnum = (SELECT attnum FROM pg_attribute
        WHERE attrelid = starelid AND attname IN ('relnamespace', 'connamespace', 'typnamespace', 'pronamespace'))`,
};

/** What else reads the catalogs of a shard. */
const READERS: Record<string, (client: ClientBase, schema: string) => Promise<unknown>> = {
  tables: readTables,
  fingerprint: schemaFingerprint,
  "existing objects": existingObjects,
  triggers: readTriggers,
  "tables that are reached from outside": readReachable,
  "materialized views": (client, schema) => readMaterializedViews(client, schema, ["t1"]),
  "sequences of the switch": readSequenceDefinitions,
  sequences: (client, schema) => readSequences(client, [schema]),
  "keys that are not valid": (client, schema) => readUnvalidatedKeys(client, [schema]),
  "tables to compare": readComparedTables,
  "what is outside": (client, schema) => outsideDependents(client, schema, null),
};

describe("with four times as many tables", { timeout: 300_000 }, () => {
  let [source, destination]: TestDatabase[] = [];
  before(async () => {
    const { a, b } = await testIslands();
    [source, destination] = await Promise.all([createDatabase(a), createDatabase(b)]);
    for (const database of [source, destination]) await database.withClient((client) => install(client));
    await fill(source, 42, FEW);
    await fill(source, 43, MANY);
  });

  /** Compares what is visited for the two shards, query by query in the order of their first appearance. */
  function expectLinear(what: string, few: Visited, many: Visited): void {
    const lists = [few, many].map(({ byQuery }) => [...byQuery]);
    const ratio = many.rows / few.rows;
    const text = lists[1]!.map(
      ([sql, rows], i) => `${lists[0]![i]?.[1]} → ${rows}: ${sql.replaceAll(/\s+/g, " ").slice(0, 120)}`,
    );
    assert.ok(
      ratio <= MOST,
      `${what}: ${few.rows} → ${many.rows} rows, ${ratio.toFixed(1)} times as many\n${text.join("\n")}`,
    );
  }

  for (const [statistics, sql] of Object.entries(STATISTICS))
    it(`preflight and all other readers go through about four times as many rows, ${statistics}`, async () => {
      await source!.rows(sql);
      const visits = async (shard: number): Promise<Visited> => {
        const islands = new WatchedIslands([source!, destination!].map(({ dsn }) => parseDsn(dsn, {})));
        const [from, to] = islands.names() as [string, string];
        const request = moveInput({ schema: `sh00${shard}`, shard, from, to });
        const { problems } = await inspect(islands, { kind: "move", request, shard }, `move-${randomUUID()}`);
        assert.deepEqual(problems, []);
        await islands.close();
        return islands.visited;
      };
      expectLinear("preflight", await visits(42), await visits(43));
      for (const [what, read] of Object.entries(READERS))
        await source!.withClient(async (client) => {
          const [few, many] = [new Visited(), new Visited()];
          await read(few.watch(client), "sh0042");
          await read(many.watch(client), "sh0043");
          expectLinear(what, few, many);
        });
    });
});
