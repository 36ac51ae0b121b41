import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ident } from "../../src/postgres/quote.ts";
import type { TestDatabase } from "../support/index.ts";
import { column, databasesWithApi, psql, VERSIONS } from "./psql.ts";

for (const [version, layout] of [
  [VERSIONS[0], "microsharding"],
  [VERSIONS[1], `Odd "lib`],
] as const) {
  describe(`debug views with the SQL API in schema ${layout} of PostgreSQL ${version}`, () => {
    const createDb = databasesWithApi(version, layout);
    const apiSchema = ident(layout);
    const after = (db: TestDatabase): Promise<unknown[]> =>
      column(db, `SELECT ${apiSchema}.microsharding_migration_after()`);
    const before = (db: TestDatabase): Promise<unknown[]> =>
      column(db, `SELECT ${apiSchema}.microsharding_migration_before()`);
    const columnsOf = (db: TestDatabase, view: string): Promise<unknown[]> =>
      column(
        db,
        `SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
         WHERE attrelid = '${view}'::regclass AND attnum > 0 ORDER BY attnum`,
      );

    async function create(shards: number): Promise<TestDatabase> {
      const db = await createDb();
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(0, ${shards})`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1, ${shards})`);
      return db;
    }

    test("are not created where there is no schema public, which is no error", async () => {
      const db = await create(1);
      await db.rows("CREATE TABLE sh0001.users(id bigint)");
      await db.rows("DROP SCHEMA public CASCADE");
      assert.deepEqual(await before(db), []);
      assert.deepEqual(await after(db), []);
    });

    test("show each table across all active shards, with the shard first and the id next", async () => {
      const db = await create(3);
      for (const n of [0, 1, 2, 3]) {
        await db.rows(`CREATE TABLE sh000${n}.users(email text, "Name" varchar(20), id bigint)`);
        await db.rows(`INSERT INTO sh000${n}.users VALUES ('a@${n}', 'A', ${n})`);
      }
      await db.rows("CREATE TABLE sh0003.only_here(n int)");
      assert.deepEqual(await after(db), ["public.only_here", "public.users"]);
      assert.deepEqual(await db.rows("SELECT * FROM users ORDER BY 1"), [
        { shard: "sh0001", id: "1", Name: "A", email: "a@1" },
        { shard: "sh0002", id: "2", Name: "A", email: "a@2" },
        { shard: "sh0003", id: "3", Name: "A", email: "a@3" },
      ]);
      assert.deepEqual(await columnsOf(db, "users"), [
        "shard text",
        "id bigint",
        "Name character varying(20)",
        "email text",
      ]);
      assert.deepEqual(await before(db), ["public.only_here", "public.users"]);
      assert.deepEqual(await before(db), []);
    });

    test("show nothing of a shard that is no longer active, nor of a renamed schema, even before they are rebuilt", async () => {
      const db = await create(2);
      for (const n of [1, 2]) {
        await db.rows(`CREATE TABLE sh000${n}.t(id int, "schema_name" text, n int, a int, c int)`);
        await db.rows(`INSERT INTO sh000${n}.t VALUES (${n})`);
      }
      await after(db);
      const shown = (): Promise<unknown[]> => column(db, "SELECT shard || id FROM t ORDER BY 1");
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_inactive(1)`);
      assert.deepEqual(await shown(), ["sh00022"]);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
      assert.deepEqual(await shown(), ["sh00011", "sh00022"]);
      // As if the shard had left and come back.
      await db.rows(
        "ALTER SCHEMA sh0001 RENAME TO sh0001old; CREATE SCHEMA sh0001; CREATE TABLE sh0001.t(id int)",
      );
      assert.deepEqual(await shown(), ["sh00022"]);
      await after(db);
      await db.rows("INSERT INTO sh0001.t VALUES (9)");
      assert.deepEqual(await shown(), ["sh00019", "sh00022"]);
      const plan = await column(db, "EXPLAIN SELECT * FROM t WHERE shard = 'sh0002'");
      assert.ok(!plan.join().includes("sh0001"), "the other shards are not even looked at");
    });

    test("have NULL if a shard lacks a column, and text if types differ", async () => {
      const db = await create(3);
      await db.rows("CREATE TABLE sh0001.t(id int, code char(4), state int, shard int, shard_ int, at date)");
      await db.rows('CREATE TABLE sh0002.t(id int, state bigint, word text COLLATE "C")');
      await db.rows("CREATE TABLE sh0003.t()");
      await db.rows("INSERT INTO sh0001.t VALUES (1, 'wide', 7, 8, 9, '2024-01-31')");
      await db.rows("INSERT INTO sh0002.t VALUES (2, 8, 'x')");
      await db.rows("INSERT INTO sh0003.t DEFAULT VALUES");
      await after(db);
      assert.deepEqual(await columnsOf(db, "t"), [
        "shard text",
        "id integer",
        "at date",
        "code character(4)",
        "shard_ integer",
        "shard__ integer",
        "state text",
        "word text",
      ]);
      assert.deepEqual(await db.rows("SELECT * FROM t ORDER BY shard"), [
        {
          shard: "sh0001",
          id: 1,
          at: new Date(2024, 0, 31),
          code: "wide",
          shard_: 8,
          shard__: 9,
          state: "7",
          word: null,
        },
        { shard: "sh0002", id: 2, at: null, code: null, shard_: null, shard__: null, state: "8", word: "x" },
        {
          shard: "sh0003",
          id: null,
          at: null,
          code: null,
          shard_: null,
          shard__: null,
          state: null,
          word: null,
        },
      ]);
    });

    test("cope with odd names, types of the shards' own, dropped columns, views and partitions", async () => {
      const db = await create(2);
      for (const shard of ["sh0001", "sh0002"]) {
        await db.rows(`CREATE TYPE ${shard}.mood AS ENUM ('good', 'bad')`);
        await db.rows(
          `CREATE TABLE ${shard}."Odd ""table"(id int, gone int, "select" ${shard}.mood, "a ""b%s" int[])`,
        );
        await db.rows(`ALTER TABLE ${shard}."Odd ""table" DROP COLUMN gone`);
        await db.rows(`INSERT INTO ${shard}."Odd ""table" VALUES (1, 'bad', '{1,2}')`);
        await db.rows(`CREATE TABLE ${shard}.parts(id int, n int) PARTITION BY RANGE (id)`);
        await db.rows(`CREATE TABLE ${shard}.parts_1 PARTITION OF ${shard}.parts FOR VALUES FROM (0) TO (9)`);
        await db.rows(`INSERT INTO ${shard}.parts VALUES (1, 2)`);
        await db.rows(
          `CREATE VIEW ${shard}.bad AS SELECT id FROM ${shard}."Odd ""table" WHERE "select" = 'bad'`,
        );
        await db.rows(`CREATE SEQUENCE ${shard}.seq`);
      }
      assert.deepEqual(await after(db), [`public."Odd ""table"`, "public.bad", "public.parts"]);
      assert.deepEqual(await db.rows(`SELECT * FROM "Odd ""table" WHERE "select" = 'bad' ORDER BY shard`), [
        { shard: "sh0001", id: 1, select: "bad", [`a "b%s`]: [1, 2] },
        { shard: "sh0002", id: 1, select: "bad", [`a "b%s`]: [1, 2] },
      ]);
      assert.deepEqual(await column(db, "SELECT sum(n)::int FROM parts"), [4]);
      assert.deepEqual(await column(db, "SELECT count(*)::int FROM bad"), [2]);
    });

    test("leave alone what is not theirs", async () => {
      const db = await create(1);
      for (const name of ["a_table", "a_view", "a_type", "a_sequence", "mine"]) {
        await db.rows(`CREATE TABLE sh0001.${name}(id int, z int)`);
      }
      await db.rows("CREATE TABLE a_table(x int)");
      await db.rows("CREATE VIEW a_view AS SELECT 1 AS x");
      await db.rows("COMMENT ON VIEW a_view IS 'about sharding: mine'");
      await db.rows("CREATE TYPE a_type AS ENUM ('x')");
      await db.rows("CREATE SEQUENCE a_sequence");
      const { stderr } = await psql(db, `SELECT ${apiSchema}.microsharding_migration_after()`);
      assert.equal(stderr.match(/exists and is not a debug view/g)?.length, 4);
      assert.deepEqual(await after(db), []);
      assert.deepEqual(await before(db), ["public.mine"]);
      assert.deepEqual(await column(db, "SELECT x FROM a_view"), [1]);

      await after(db);
      await db.rows("CREATE VIEW upon_it AS SELECT * FROM mine");
      await assert.rejects(before(db), { code: "2BP01", detail: /upon_it/ });
      await db.rows("ALTER TABLE sh0001.mine ADD COLUMN aa int");
      await assert.rejects(after(db), { code: "2BP01", detail: /upon_it/ });
      assert.deepEqual(await db.rows("SELECT * FROM upon_it"), []);
    });

    test("are replaced only when something has changed", async () => {
      const db = await create(2);
      for (const shard of ["sh0001", "sh0002"]) {
        await db.rows(`CREATE TABLE ${shard}.t(id int, b int)`);
        await db.rows(`CREATE TABLE ${shard}.u(id int)`);
      }
      assert.deepEqual(await after(db), ["public.t", "public.u"]);
      const oids =
        "SELECT oid FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace ORDER BY 1";
      const made = await column(db, oids);
      assert.deepEqual(await after(db), []);

      await db.rows("ALTER TABLE sh0001.t ADD COLUMN c int");
      assert.deepEqual(await after(db), ["public.t"]);
      await db.rows("GRANT SELECT ON public.t TO PUBLIC");
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_inactive(2)`);
      assert.deepEqual(await after(db), ["public.t", "public.u"]);
      assert.deepEqual(await column(db, oids), made, "replaced in place, with what was granted");

      await db.rows("ALTER TABLE sh0001.t ADD COLUMN a int");
      assert.deepEqual(await after(db), ["public.t"]);
      assert.deepEqual(await columnsOf(db, "t"), [
        "shard text",
        "id integer",
        "a integer",
        "b integer",
        "c integer",
      ]);

      // The same names, but with other tables and columns behind them.
      await db.rows(
        "ALTER TABLE sh0001.u RENAME TO old_u; CREATE TABLE sh0001.u(id int); INSERT INTO sh0001.u VALUES (5)",
      );
      await db.rows(
        "ALTER TABLE sh0001.t RENAME COLUMN a TO x; ALTER TABLE sh0001.t RENAME COLUMN b TO a; ALTER TABLE sh0001.t RENAME COLUMN x TO b",
      );
      await db.rows("INSERT INTO sh0001.t(id, a, b) VALUES (1, 2, 3)");
      assert.deepEqual(await after(db), ["public.old_u", "public.t", "public.u"]);
      assert.deepEqual(await db.rows("SELECT id FROM u"), [{ id: 5 }]);
      assert.deepEqual(await db.rows("SELECT a, b FROM t"), [{ a: 2, b: 3 }]);

      await db.rows("DROP TABLE sh0001.old_u CASCADE");
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_inactive(1)`);
      assert.deepEqual(await after(db), []);
      assert.deepEqual(await column(db, oids), [], "tables that no active shard has");
    });

    test("cannot be written through, not even those of one shard", async () => {
      const db = await create(1);
      await db.rows("CREATE TABLE sh0001.t(id int)");
      await after(db);
      await assert.rejects(db.rows("INSERT INTO public.t VALUES ('sh0001', 1)"), { code: "55000" });
      await assert.rejects(db.rows("INSERT INTO public.t(id) VALUES (1)"), { code: "55000" });
      await assert.rejects(db.rows("UPDATE public.t SET id = 2"), { code: "55000" });
      await assert.rejects(db.rows("DELETE FROM public.t"), { code: "55000" });
    });

    test("follow a move: refreshed where they are used, and not created where they are not", async () => {
      const db = await create(2);
      const refresh = (): Promise<unknown[]> =>
        column(db, `SELECT ${apiSchema}.microsharding_debug_views_refresh_()`);
      await db.rows("CREATE TABLE sh0001.t AS SELECT 1 AS id; CREATE TABLE sh0002.t AS SELECT 2 AS id");
      assert.deepEqual(await refresh(), []);
      assert.deepEqual(await after(db), ["public.t"]);
      await db.rows(
        `SELECT ${apiSchema}.microsharding_ensure_inactive(2); ALTER SCHEMA sh0002 RENAME TO sh0002old_20240131120000`,
      );
      assert.deepEqual(await refresh(), ["public.t"]);
      assert.deepEqual(await column(db, "SELECT id FROM t"), [1]);
      await db.rows("DROP TABLE sh0002old_20240131120000.t");
      assert.deepEqual(await refresh(), []);
    });

    test("can be created in another schema, in a transaction that rolls them back, and for thousands of tables", async () => {
      const db = await create(150);
      await db.rows("CREATE SCHEMA debug");
      await db.withClient(async (client) => {
        await client.query("BEGIN");
        await client.query(
          `SELECT ${apiSchema}.microsharding_do_on_each('CREATE TABLE a(id int, x text); CREATE TABLE b(id int)')`,
        );
        await client.query(
          `SELECT ${apiSchema}.microsharding_do_on_each('INSERT INTO a VALUES (1, current_schema())')`,
        );
        await client.query("COMMIT; BEGIN");
        await client.query(`SELECT ${apiSchema}.microsharding_debug_views_create('debug')`);
        await client.query("ROLLBACK");
        await client.query(`SELECT ${apiSchema}.microsharding_debug_views_create('debug')`);
      });
      assert.deepEqual(
        await db.rows(
          "SELECT count(*)::int AS rows, count(*) FILTER (WHERE shard = x)::int AS right FROM debug.a",
        ),
        [{ rows: 150, right: 150 }],
      );
      assert.deepEqual(await column(db, "SELECT x FROM debug.a WHERE shard = 'sh0142'"), ["sh0142"]);
      assert.deepEqual(await column(db, `SELECT ${apiSchema}.microsharding_debug_views_drop('debug')`), [
        "debug.a",
        "debug.b",
      ]);
    });
  });
}
