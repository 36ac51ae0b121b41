import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ident } from "../../src/postgres/quote.ts";
import {
  activeShards,
  column,
  databasesWithApi,
  downScript,
  LAYOUTS,
  psql,
  psqlOk,
  upScript,
  VERSIONS,
} from "./psql.ts";

for (const version of VERSIONS) {
  for (const layout of LAYOUTS) {
    describe(`the SQL API in schema ${layout} of PostgreSQL ${version}`, () => {
      const create = databasesWithApi(version, layout);
      const apiSchema = ident(layout);

      test("creates, activates, deactivates and drops ranges of shards", async () => {
        const db = await create();
        const call = (text: string): Promise<unknown[]> =>
          column(db, `SELECT shard::text FROM ${apiSchema}.microsharding_ensure_${text} AS shard`);

        assert.deepEqual(await call("exist(0, 2)"), ["sh0000", "sh0001", "sh0002"]);
        assert.deepEqual(await call("exist(1, 3)"), ["sh0003"], "those that are there are left out");
        assert.deepEqual(await call("exist(20000)"), ["sh20000"]);
        assert.deepEqual(await activeShards(db, layout), []);

        assert.deepEqual(await call("active(2, 3)"), ["sh0002", "sh0003"]);
        assert.deepEqual(await call("active(1, 2)"), ["sh0001", "sh0002"]);
        assert.deepEqual(await call("active(20000)"), ["sh20000"]);
        assert.deepEqual(await activeShards(db, layout), ["sh0001", "sh0002", "sh0003", "sh20000"]);
        assert.deepEqual(await column(db, `SELECT ${apiSchema}.microsharding_active_shards_()`), [
          ["sh0001", "sh0002", "sh0003", "sh20000"],
        ]);

        assert.deepEqual(await call("inactive(0, 2)"), ["sh0001", "sh0002"]);
        assert.deepEqual(await call("absent(2, 9999)"), ["sh0002", "sh0003"]);
        assert.deepEqual(await activeShards(db, layout), ["sh20000"]);
        assert.deepEqual(await call("exist(3)"), ["sh0003"]);
        assert.deepEqual(await activeShards(db, layout), ["sh20000"], "a new shard is inactive");
      });

      test("does not list a shard whose schema was renamed or dropped by hand", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1, 2)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1, 2)`);
        await db.rows("ALTER SCHEMA sh0001 RENAME TO sh0001old_20240131120000");
        await db.rows("DROP SCHEMA sh0002");
        assert.deepEqual(await activeShards(db, layout), []);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(2)`);
        assert.deepEqual(await activeShards(db, layout), [], "and a new one of that name is not born active");
        assert.deepEqual(
          await column(
            db,
            `SELECT shard::text FROM ${apiSchema}.microsharding_ensure_inactive(0, 9) AS shard`,
          ),
          [],
        );
        assert.deepEqual(await column(db, `SELECT ${apiSchema}.microsharding_active_shards_()`), [[]]);
      });

      test("refuses invalid ranges", async () => {
        const db = await create();
        for (const action of ["exist", "active", "inactive", "absent"]) {
          for (const range of ["-1", "-1, 3", "3, 2", "NULL", "0, 100000"]) {
            await assert.rejects(
              db.rows(`SELECT ${apiSchema}.microsharding_ensure_${action}(${range})`),
              { code: "22023" },
              `${action}(${range})`,
            );
          }
        }
        assert.deepEqual(await column(db, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'sh%'"), []);
      });

      test("activates none of a range that has a missing schema", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1, 2)`);
        await assert.rejects(db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1, 3)`), {
          code: "3F000",
          message: "No such schema: sh0003",
        });
        assert.deepEqual(await activeShards(db, layout), []);
      });

      test("refuses to activate a half-made copy and an old copy", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1, 2)`);
        await db.rows(
          "COMMENT ON SCHEMA sh0001 IS 'shardferry: half-made copy from a:5432/db by workflow move-sh0001 run r1'",
        );
        await db.rows(
          `INSERT INTO ${apiSchema}.microsharding_moves_(schema_name, role, workflow_id, run_id, peer, epoch, state, leftover)
           VALUES ('sh0007', 'source', 'move-sh0007', 'r1', 'b/db', 1, 'left', 'sh0002')`,
        );
        await assert.rejects(db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`), {
          code: "55000",
          detail: /by workflow move-sh0001 run r1/,
        });
        await assert.rejects(db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(2)`), {
          code: "55000",
        });
        await db.rows("COMMENT ON SCHEMA sh0001 IS NULL");
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
        assert.deepEqual(await activeShards(db, layout), ["sh0001"]);
      });

      test("drops none of a range in which a shard is not empty", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1, 3)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1, 3)`);
        await db.rows("CREATE FUNCTION sh0002.f() RETURNS int LANGUAGE sql AS 'SELECT 1'");
        await assert.rejects(db.rows(`SELECT ${apiSchema}.microsharding_ensure_absent(1, 3)`), {
          code: "2BP01",
          message: /sh0002/,
        });
        assert.deepEqual(await activeShards(db, layout), ["sh0001", "sh0002", "sh0003"]);
      });

      test("runs a statement on each active shard except the global one", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(0, 3)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(0, 2)`);
        for (const shard of ["sh0000", "sh0001", "sh0002", "sh0003"]) {
          await db.rows(`CREATE TABLE ${shard}.t AS SELECT 1 AS n`);
        }
        await db.rows("INSERT INTO sh0002.t VALUES (2)");
        await db.rows("DELETE FROM sh0001.t");
        const printed = await psqlOk(
          db,
          `SET search_path TO "$user", pg_temp;
           SELECT shard, row_count FROM ${apiSchema}.microsharding_do_on_each('UPDATE t SET n = n + 10');
           SHOW search_path;`,
        );
        assert.equal(printed, 'sh0001|\nsh0002|2\n"$user", pg_temp');
        assert.deepEqual(await column(db, "SELECT n FROM sh0000.t UNION ALL SELECT n FROM sh0003.t"), [1, 1]);
        assert.deepEqual(await column(db, "SELECT n FROM sh0002.t ORDER BY n"), [11, 12]);

        const failed = await psql(
          db,
          `\\set ON_ERROR_STOP off
           SET search_path TO pg_catalog;
           SELECT ${apiSchema}.microsharding_do_on_each('DELETE FROM t; SELECT 1 / (SELECT count(*) FROM t)');
           SHOW search_path;`,
        );
        assert.match(failed.stderr, /NOTICE: {2}the error below is of shard sh0001[^]*division by zero/);
        assert.equal(failed.stdout.trim(), "pg_catalog");
        assert.deepEqual(await column(db, "SELECT n FROM sh0002.t ORDER BY n"), [11, 12]);
      });

      test("keeps the weight factor in the comment, next to its other text", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1)`);
        const comments = async (...factors: string[]): Promise<unknown[]> => {
          const seen = [];
          for (const factor of factors) {
            await db.rows(`SELECT ${apiSchema}.microsharding_set_factor_('sh0001', ${factor})`);
            seen.push(
              ...(await db.rows(
                `SELECT obj_description('sh0001'::regnamespace, 'pg_namespace') AS comment,
                        ${apiSchema}.microsharding_factor_('sh0001')::float AS factor`,
              )),
            );
          }
          return seen;
        };
        assert.deepEqual(await comments("1", "1.20", "0.5", "1"), [
          { comment: null, factor: 1 },
          { comment: "[weight factor 1.2]", factor: 1.2 },
          { comment: "[weight factor 0.5]", factor: 0.5 },
          { comment: null, factor: 1 },
        ]);
        const text = "It's 100% \\\\1 ours,\n weight factor: 7 ";
        await db.rows(`COMMENT ON SCHEMA sh0001 IS E'It''s 100% \\\\\\\\1 ours,\\n weight factor: 7 '`);
        assert.deepEqual(await comments("3", "1.5", "1"), [
          { comment: `${text} [weight factor 3]`, factor: 3 },
          { comment: `${text} [weight factor 1.5]`, factor: 1.5 },
          { comment: text, factor: 1 },
        ]);
        for (const factor of ["0", "-1", "'NaN'", "'Infinity'", "'-Infinity'", "NULL"]) {
          await assert.rejects(comments(factor), { code: "22023" }, factor);
        }
        await assert.rejects(db.rows(`SELECT ${apiSchema}.microsharding_set_factor_('nope', 2)`), {
          code: "3F000",
        });
        assert.deepEqual(await column(db, `SELECT ${apiSchema}.microsharding_factor_('nope')::float`), [1]);
      });

      test("lets a role without any rights list the shards, but not change them", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
        const role = `app_${db.name}`;
        await db.rows(`CREATE ROLE ${role}`);
        await db.rows(`GRANT USAGE ON SCHEMA ${apiSchema} TO ${role}`);
        await db.withClient(async (client) => {
          await client.query(`SET ROLE ${role}`);
          const { rows } = await client.query(
            `SELECT ${apiSchema}.microsharding_list_active_shards()::text AS shards`,
          );
          assert.deepEqual(rows, [{ shards: "{sh0001}" }]);
          for (const call of ["ensure_inactive(1)", "ensure_active(1)"]) {
            await assert.rejects(client.query(`SELECT ${apiSchema}.microsharding_${call}`), {
              code: "42501",
            });
          }
        });
        await db.rows(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      });

      test("is not misled by the caller's search_path and temporary tables", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
        await db.rows(`CREATE SCHEMA trap`);
        await db.rows(
          `CREATE FUNCTION trap.microsharding_active_shards_() RETURNS text[] LANGUAGE sql AS $$ SELECT '{trap}'::text[] $$`,
        );
        await db.withClient(async (client) => {
          await client.query("SET search_path TO trap");
          await client.query("CREATE TEMPORARY TABLE microsharding_active_(schema_name text)");
          await client.query("CREATE TEMPORARY TABLE pg_namespace(oid oid, nspname name)");
          const { rows } = await client.query(
            `SELECT ${apiSchema}.microsharding_list_active_shards()::text AS shards`,
          );
          assert.deepEqual(rows, [{ shards: "{sh0001}" }]);
        });
      });

      test("is installed again silently, and leaves search_path as it was", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
        const oids = "SELECT array_agg(oid ORDER BY oid) FROM pg_proc WHERE proname LIKE 'microsharding%'";
        const before = await column(db, oids);
        const again = await psql(db, `${upScript(layout)}SHOW search_path;`);
        assert.deepEqual(again, {
          status: 0,
          stdout: `${layout === "public" ? "public" : ident(layout).replace(/^"(\w+)"$/, "$1")}\n`,
          stderr: "",
        });
        assert.deepEqual(await column(db, oids), before, "no function was dropped on the way");
        assert.deepEqual(await activeShards(db, layout), ["sh0001"]);
      });

      test("is removed without a trace, and leaves the shards", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
        await db.rows("CREATE TABLE sh0001.t(id int)");
        await db.rows(`SELECT ${apiSchema}.microsharding_migration_after()`);
        await psqlOk(db, downScript(layout));
        await psqlOk(db, downScript(layout));
        assert.deepEqual(
          await column(
            db,
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace >= 16384 AND relkind IN ('r', 'v') OR relname LIKE 'microsharding%'",
          ),
          ["sh0001.t"],
        );
        assert.deepEqual(
          await column(db, "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'microsharding%'"),
          [],
        );
        if (layout !== "public") await db.rows(`DROP SCHEMA ${apiSchema}`);
        await psqlOk(db, upScript(layout));
        assert.deepEqual(await activeShards(db, layout), []);
      });

      test("is installed as a whole or not at all inside a transaction", async () => {
        const db = await create();
        await psqlOk(db, `BEGIN;\n${downScript(layout)}COMMIT;`);
        const before = await column(db, "SELECT count(*)::int FROM pg_proc");
        await psqlOk(db, `BEGIN;\n${upScript(layout)}SELECT microsharding_ensure_exist(1);\nROLLBACK;`);
        assert.deepEqual(await column(db, "SELECT count(*)::int FROM pg_proc"), before);
        await psqlOk(
          db,
          `BEGIN;\n${upScript(layout)}SELECT microsharding_ensure_exist(1);\nSELECT microsharding_ensure_active(1);\nCOMMIT;`,
        );
        assert.deepEqual(await activeShards(db, layout), ["sh0001"]);
      });
    });
  }
}
