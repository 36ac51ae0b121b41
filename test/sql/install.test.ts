import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "pg";

import { ShardferryError, UsageError } from "../../src/errors.ts";
import {
  findApiSchema,
  install,
  type InstallOptions,
  type InstallResult,
  isCurrent,
} from "../../src/postgres/api/install.ts";
import { createDatabase, type TestDatabase, testIslands, withClient } from "../support/index.ts";
import { oldToolScript } from "./old-tool.ts";
import { activeShards, column, downScript, psqlOk, serverOf, upScript } from "./psql.ts";

const create = async (): Promise<TestDatabase> => createDatabase((await testIslands()).a);

const installIn = (db: TestDatabase, options?: InstallOptions): Promise<InstallResult> =>
  db.withClient((client) => install(client, options));

test("a new island gets the SQL API in the schema microsharding, for every role to call", async () => {
  const db = await create();
  assert.equal(await db.withClient(findApiSchema), null);
  assert.deepEqual(await installIn(db), { libSchema: "microsharding", upgraded: false, activeShards: 0 });
  assert.equal(await db.withClient(findApiSchema), "microsharding");
  assert.deepEqual(await column(db, "SELECT microsharding.microsharding_schema_name_(7)"), ["sh0007"]);

  const role = `app_${db.name}`;
  await db.rows(`CREATE ROLE ${role}`);
  await db.withClient(async (client) => {
    await client.query(`SET ROLE ${role}`);
    await client.query("SELECT microsharding.microsharding_list_active_shards()");
  });
  await db.rows(`DROP ROLE ${role}`);
});

test("it can be installed into databases of any encoding", async () => {
  const { a } = await testIslands();
  for (const encoding of ["LATIN1", "SQL_ASCII", "EUC_JP"]) {
    const name = `test_install_${encoding.toLowerCase()}`;
    await withClient(a.dsn(), (client) =>
      client.query(`CREATE DATABASE ${name} ENCODING '${encoding}' LOCALE 'C' TEMPLATE template0`),
    );
    try {
      await withClient(a.dsn(name), (client) => install(client));
      await withClient(a.dsn(name), async (client) =>
        assert.equal(await findApiSchema(client), "microsharding", encoding),
      );
    } finally {
      await withClient(a.dsn(), (client) => client.query(`DROP DATABASE ${name}`));
    }
  }
});

test("install does the same as psql with the same files", async () => {
  const [byPsql, byInstall] = [await create(), await create()];
  await psqlOk(byPsql, upScript("microsharding"));
  await installIn(byInstall);
  const catalog = `
    SELECT p.oid::regprocedure::text AS name, prosrc, proconfig::text, provolatile, obj_description(p.oid, 'pg_proc') AS comment
    FROM pg_proc p WHERE pronamespace = 'microsharding'::regnamespace
    UNION ALL
    SELECT c.oid::regclass::text, relkind::text, relacl::text, relpersistence, obj_description(c.oid, 'pg_class')
    FROM pg_class c WHERE relnamespace = 'microsharding'::regnamespace AND relkind IN ('r', 'v')
    ORDER BY 1`;
  const functions = await byPsql.rows(catalog);
  assert.deepEqual(await byInstall.rows(catalog), functions);
  assert.ok(functions.length > 20);
  assert.deepEqual(
    functions.filter(({ comment }) => comment === null),
    [],
    "everything has a comment",
  );
});

test("an installation is found whatever schema it is in, and upgraded there with its shards and names", async () => {
  for (const schema of ["public", 'Odd "lib']) {
    const db = await create();
    await psqlOk(db, oldToolScript(schema, { nameBody: "SELECT 'shard' || lpad($1::text, 5, '0')" }));
    await psqlOk(
      db,
      `SET search_path TO "${schema.replaceAll('"', '""')}"; SELECT microsharding_ensure_exist(1, 2); SELECT microsharding_ensure_active(1, 2);`,
    );
    assert.equal(await db.withClient((client) => isCurrent(client, schema)), false);
    assert.deepEqual(await installIn(db), { libSchema: schema, upgraded: true, activeShards: 2 });
    assert.deepEqual(await activeShards(db, schema), ["shard00001", "shard00002"]);
    assert.equal(await db.withClient((client) => isCurrent(client, schema)), true);
    assert.deepEqual(await installIn(db), { libSchema: schema, upgraded: false, activeShards: 2 });
  }
});

test("an installation that the old tool's files, or anybody, has changed is not current", async () => {
  const db = await create();
  await installIn(db);
  const current = (): Promise<boolean> => db.withClient((client) => isCurrent(client, "microsharding"));
  assert.equal(await current(), true);
  for (const change of [
    oldToolScript("microsharding"),
    "DROP FUNCTION microsharding.microsharding_factor_(text);",
    "CREATE FUNCTION microsharding.microsharding_list_active_shards(first integer) RETURNS text LANGUAGE sql AS 'SELECT 1';",
    downScript("microsharding"),
  ]) {
    await psqlOk(db, change);
    assert.equal(await current(), false, change.slice(0, 60));
    await psqlOk(db, "DROP FUNCTION IF EXISTS microsharding.microsharding_list_active_shards(integer)");
    await installIn(db);
    assert.equal(await current(), true);
  }
});

test("the format of the schemas' names is an option, checked before anything is done", async () => {
  const db = await create();
  for (const schemaNameFmt of ["sh", "%d%d", "sh%s", "100%"]) {
    await assert.rejects(installIn(db, { schemaNameFmt }), UsageError);
  }
  assert.equal(await db.withClient(findApiSchema), null);
  await installIn(db, { schemaNameFmt: "s'%03d" });
  assert.deepEqual(await column(db, "SELECT microsharding.microsharding_schema_name_(7)"), ["s'007"]);
  await installIn(db);
  assert.deepEqual(await column(db, "SELECT microsharding.microsharding_schema_name_(7)"), ["s'007"]);
});

test("a format that would rename an active shard is refused, and one that would not is accepted", async () => {
  const db = await create();
  await installIn(db, { schemaNameFmt: "db2%d_7" });
  const name = "microsharding.microsharding_schema_name_(12)";
  await db.rows(
    "SELECT microsharding.microsharding_ensure_exist(12), microsharding.microsharding_ensure_active(12)",
  );
  for (const schemaNameFmt of ["db2%04d_7", "sh%d"]) {
    await assert.rejects(
      installIn(db, { schemaNameFmt }),
      (error) => error instanceof UsageError && /db212_7/.test(error.message),
    );
    assert.deepEqual(await column(db, `SELECT ${name}`), ["db212_7"]);
  }
  assert.equal((await installIn(db, { schemaNameFmt: "db2%d_7" })).activeShards, 1);
});

test("the owner of a database can install on PostgreSQL 14 and 18 without being a superuser", async () => {
  for (const version of [14, 18] as const) {
    const db = await createDatabase(await serverOf(version));
    const role = `owner_${db.name}`;
    await db.rows(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    await db.rows(`ALTER DATABASE ${db.name} OWNER TO ${role}`);
    const { host, port } = db.server;
    const owner = new Client({ host, port, user: role, password: "secret", database: db.name });
    await owner.connect();
    await install(owner);
    await owner.query("SELECT microsharding.microsharding_ensure_exist(1, 3)");
    await owner.query("SELECT microsharding.microsharding_ensure_active(1, 2)");
    await owner.query("CREATE TABLE sh0001.t(id int)");
    await owner.query("SELECT microsharding.microsharding_migration_after()");
    assert.deepEqual(await install(owner), { libSchema: "microsharding", upgraded: false, activeShards: 2 });
    assert.deepEqual(
      (await owner.query("SELECT microsharding.microsharding_ensure_inactive(2)::text AS s")).rows,
      [{ s: "sh0002" }],
    );
    await owner.end();
    await psqlOk(db, `${downScript("microsharding")} DROP SCHEMA microsharding; DROP TABLE sh0001.t;`, {
      user: role,
      password: "secret",
    });
    await db.rows(
      `DROP OWNED BY ${role} CASCADE; ALTER DATABASE ${db.name} OWNER TO postgres; DROP ROLE ${role}`,
    );
  }
});

test("a role that may not create anything learns what it needs, and nothing stays half-done", async () => {
  const db = await create();
  const role = `app_${db.name}`;
  await db.rows(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
  const { host, port } = db.server;
  const client = new Client({ host, port, user: role, password: "secret", database: db.name });
  await client.connect();
  await assert.rejects(install(client), (error: Error) => {
    assert.ok(error instanceof ShardferryError);
    assert.match(
      error.message,
      /Cannot create the schema microsharding.*permission denied.*owner of the database/,
    );
    return true;
  });
  await db.rows("CREATE TABLE public.microsharding_active_(oops int)");
  await assert.rejects(
    installIn(db, { libSchema: "public" }),
    /Cannot install the SQL API \(.*microsharding_active_shards_\.sql\)/,
  );
  assert.deepEqual((await client.query("SELECT 1 AS alive")).rows, [{ alive: 1 }]);
  await client.end();
  assert.deepEqual(await column(db, "SELECT proname FROM pg_proc WHERE proname LIKE 'microsharding%'"), []);
  await db.rows(`DROP ROLE ${role}`);
});

test("concurrent installations all succeed", async () => {
  const db = await create();
  const results = await Promise.all(Array.from({ length: 4 }, () => installIn(db)));
  assert.deepEqual(new Set(results.map(({ upgraded }) => upgraded)), new Set([false]));
});
