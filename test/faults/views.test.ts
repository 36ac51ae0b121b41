import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client } from "pg";

import { createShard, createWorld, resultOf } from "../support/world.ts";

/** Ways into a shard's table by its OID, which renaming the schema does not close. */
const WAYS = {
  "a view": "CREATE VIEW outside.way AS SELECT * FROM sh0042.t",
  "a view on a view of the shard": "CREATE VIEW outside.way AS SELECT * FROM sh0042.inner_view",
  "a rule on a table of another schema":
    "CREATE TABLE outside.way (id int); CREATE RULE way AS ON INSERT TO outside.way DO INSTEAD INSERT INTO sh0042.t VALUES (NEW.id)",
  "a function with a parsed body":
    "CREATE FUNCTION outside.put(i int) RETURNS void LANGUAGE sql BEGIN ATOMIC INSERT INTO sh0042.t VALUES (i); END",
};

describe("a write that reaches the shard from another schema", { concurrency: 2, timeout: 300_000 }, () => {
  for (const [what, sql] of Object.entries(WAYS)) {
    it(`through ${what} fails with 42P01 after the switch, and none is lost`, async () => {
      const world = await createWorld();
      const { a, b } = world;
      await createShard(
        a,
        42,
        `CREATE TABLE sh0042.t (id int PRIMARY KEY); CREATE VIEW sh0042.inner_view AS SELECT * FROM sh0042.t;
         CREATE SCHEMA outside; ${sql}`,
      );
      const insert = sql.includes("outside.put")
        ? "SELECT outside.put($1)"
        : "INSERT INTO outside.way (id) VALUES ($1)";
      const acknowledged: number[] = [];
      const writing = write(a.dsn, insert, acknowledged);
      await world.startWorker();
      const { leftover } = await resultOf(await world.startMove());
      assert.equal(await writing, "42P01");

      const ids = async (database: typeof a, table: string): Promise<number[]> =>
        (await database.rows<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
      assert.deepEqual(await ids(b, "sh0042.t"), acknowledged);
      assert.deepEqual(await ids(a, `${leftover}.t`), acknowledged);
    });
  }
});

/** Writes until the first error, and returns its code. */
async function write(dsn: string, insert: string, acknowledged: number[]): Promise<string | undefined> {
  const client = new Client({ connectionString: dsn });
  await client.connect();
  try {
    for (let id = 1; ; id++) {
      await client.query({ name: "insert", text: insert, values: [id] });
      acknowledged.push(id);
    }
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    await client.end();
  }
}
