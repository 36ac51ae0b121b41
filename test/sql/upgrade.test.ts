import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Client } from "pg";

import { ident } from "../../src/postgres/quote.ts";
import { createDatabase, type TestDatabase, waitFor } from "../support/index.ts";
import { oldToolScript } from "./old-tool.ts";
import {
  activeShards,
  column,
  downScript,
  LAYOUTS,
  psql,
  psqlOk,
  serverOf,
  upScript,
  VERSIONS,
} from "./psql.ts";

async function createWithOldTool(
  version: (typeof VERSIONS)[number],
  schema: string,
  options: { nameBody?: string } = {},
): Promise<TestDatabase> {
  const db = await createDatabase(await serverOf(version));
  await psqlOk(db, oldToolScript(schema, options));
  return db;
}

for (const version of VERSIONS) {
  for (const layout of LAYOUTS) {
    test(`an installation of pg-microsharding in schema ${layout} of PostgreSQL ${version} keeps its active shards`, async () => {
      const db = await createWithOldTool(version, layout);
      const apiSchema = ident(layout);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(0, 9)`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(2, 6)`);
      await db.rows("DROP SCHEMA sh0006");
      assert.deepEqual(await activeShards(db, layout), ["sh0002", "sh0003", "sh0004", "sh0005"]);

      await psqlOk(db, upScript(layout));
      assert.deepEqual(await activeShards(db, layout), ["sh0002", "sh0003", "sh0004", "sh0005"]);
      await db.rows("CREATE SCHEMA sh0006");
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_inactive(3)`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(9)`);
      assert.deepEqual(await activeShards(db, layout), ["sh0002", "sh0004", "sh0005", "sh0009"]);

      await psqlOk(db, downScript(layout));
      if (layout !== "public") await db.rows(`DROP SCHEMA ${apiSchema}`);
      assert.deepEqual(
        await column(db, "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'microsharding%'"),
        [],
      );
    });
  }

  describe(`an upgrade on PostgreSQL ${version}`, () => {
    const apiSchema = "microsharding";

    test("takes over what the old tool's own files, run over ours, have switched since", async () => {
      const db = await createDatabase(await serverOf(version));
      await psqlOk(db, upScript(apiSchema));
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1, 4)`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1, 3)`);

      await psqlOk(db, oldToolScript(apiSchema));
      assert.deepEqual(await activeShards(db, apiSchema), ["sh0001", "sh0002", "sh0003"]);
      await psqlOk(db, upScript(apiSchema));
      assert.deepEqual(await activeShards(db, apiSchema), ["sh0001", "sh0002", "sh0003"]);

      await psqlOk(db, oldToolScript(apiSchema));
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_inactive(1, 2)`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(4)`);
      await psqlOk(db, upScript(apiSchema));
      assert.deepEqual(await activeShards(db, apiSchema), ["sh0003", "sh0004"]);
    });

    test("loses no activation that the old tool has in progress", async () => {
      const db = await createWithOldTool(version, apiSchema);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1, 2)`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
      const old = new Client(db.dsn);
      await old.connect();
      await old.query("BEGIN");
      await old.query(`SELECT ${apiSchema}.microsharding_ensure_active(2)`);

      const upgrade = psql(db, upScript(apiSchema));
      await waitFor(
        () =>
          db
            .rows("SELECT FROM pg_stat_activity WHERE application_name = 'psql' AND wait_event_type = 'Lock'")
            .then((rows) => rows.length > 0),
        { what: "the upgrade to wait for the activation" },
      );
      await old.query("COMMIT");
      await old.end();
      // It may fail, since the function has changed under it; then an operator would run it a second time.
      if ((await upgrade).status !== 0) await psqlOk(db, upScript(apiSchema));
      assert.deepEqual(await activeShards(db, apiSchema), ["sh0001", "sh0002"]);
    });

    test("keeps what was built on the list of shards", async () => {
      const db = await createWithOldTool(version, apiSchema);
      await db.rows(
        `CREATE VIEW islands_shards AS SELECT unnest(${apiSchema}.microsharding_list_active_shards())::text AS shard`,
      );
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1)`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
      await psqlOk(db, upScript(apiSchema));
      assert.deepEqual(await column(db, "SELECT shard FROM islands_shards"), ["sh0001"]);
    });

    test("replaces functions with other parameters and results", async () => {
      const db = await createWithOldTool(version, apiSchema);
      await db.rows(
        `CREATE FUNCTION ${apiSchema}.microsharding_migration_before() RETURNS void LANGUAGE sql AS ''`,
      );
      await db.rows(
        `CREATE FUNCTION ${apiSchema}.microsharding_migration_after(h text = NULL, x int = 1) RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      );
      await db.rows(
        `CREATE FUNCTION ${apiSchema}.microsharding_debug_views_create(dst_schema text) RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      );
      await psqlOk(db, upScript(apiSchema));
      await db.rows(`SELECT ${apiSchema}.microsharding_migration_before()`);
      await db.rows(`SELECT ${apiSchema}.microsharding_migration_after()`);
      await db.rows(`SELECT ${apiSchema}.microsharding_debug_views_create('public')`);
    });

    test("replaces and drops the old tool's debug views", async () => {
      const db = await createWithOldTool(version, apiSchema);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1)`);
      await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(1)`);
      await db.rows("CREATE TABLE sh0001.t(id int)");
      for (const view of ["t", "gone"]) {
        await db.rows(`CREATE VIEW ${view}(shard, other) AS SELECT 'sh0001', 1`);
        await db.rows(`COMMENT ON VIEW ${view} IS 'pg-microsharding:d41d8cd98f00b204e9800998ecf8427e'`);
      }
      await psqlOk(db, upScript(apiSchema));
      await db.rows(`SELECT ${apiSchema}.microsharding_migration_after()`);
      const views =
        "SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace";
      assert.deepEqual(await column(db, views), ["t"]);
      assert.deepEqual(await db.rows("SELECT * FROM t"), []);
      await db.rows(`SELECT ${apiSchema}.microsharding_migration_before()`);
      assert.deepEqual(await column(db, views), []);
    });

    test("keeps the format of the schemas' names, and cuts no digits off", async () => {
      const formats: [string, string[]][] = [
        ["SELECT 'sh' || lpad($1::text, 4, '0')", ["sh0000", "sh0042", "sh9999", "sh12345"]],
        ["SELECT 'user_0' || lpad($1::text, 2, '0')", ["user_000", "user_042", "user_09999", "user_012345"]],
        [
          "SELECT to_char($1, 'FM00000') || '''s 9%\"'",
          [`00000's 9%"`, `00042's 9%"`, `09999's 9%"`, `12345's 9%"`],
        ],
        ["SELECT 's' || $1", ["s0", "s42", "s9999", "s12345"]],
        // Not a padded number: kept as it is.
        ["SELECT 'x' || to_hex($1)", ["x0", "x2a", "x270f", "x3039"]],
      ];
      for (const [nameBody, expected] of formats) {
        const db = await createWithOldTool(version, apiSchema, { nameBody });
        for (const round of ["from the old tool", "again"]) {
          await psqlOk(db, upScript(apiSchema));
          const names = await column(
            db,
            `SELECT ${apiSchema}.microsharding_schema_name_(n) FROM unnest('{0,42,9999,12345}'::int[]) n`,
          );
          assert.deepEqual(names, expected, `${nameBody}, ${round}`);
        }
      }
    });
  });
}

test("the format of the schemas' names can be set", async () => {
  const db = await createDatabase(await serverOf(18));
  const name = `SELECT microsharding.microsharding_schema_name_(42)`;
  const up = (format: string) =>
    psql(db, upScript("microsharding"), { options: `-c microsharding.schema_name_fmt=${format}` });
  for (const [format, expected] of [
    ["shard_%06d", "shard_000042"],
    ["%d_100%%", "42_100%"],
    ["0%03d0", "00420"],
  ] as const) {
    assert.equal((await up(format)).status, 0, format);
    assert.deepEqual(await column(db, name), [expected]);
    await psqlOk(db, upScript("microsharding"));
    assert.deepEqual(await column(db, name), [expected], "kept without the setting");
  }
  for (const format of ["sh", "sh%d%d", "sh%s", "sh%4d", "sh%00d", "100%", "sh%010d"]) {
    const { status, stderr } = await up(format);
    assert.notEqual(status, 0, format);
    assert.match(stderr, /must have exactly one %d or %0Nd/);
  }
  assert.deepEqual(await column(db, name), ["00420"]);
});
