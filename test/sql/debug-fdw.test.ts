import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { type PostgresServer, startPostgres, startReplica } from "../../src/sandbox/index.ts";
import { type TestDatabase, testIslands, waitFor, withClient } from "../support/index.ts";
import { apiSchema, createPair, hostOf, made, rowsOf } from "./debug-fdw.ts";
import { column, DOWN, psql, psqlOk, upScript } from "./psql.ts";

describe("debug views over several islands", () => {
  let old: PostgresServer, recent: PostgresServer;
  before(async () => {
    [old, recent] = await Promise.all([
      startPostgres({ version: 14, auth: "trust" }),
      startPostgres({ version: 18, auth: "trust" }),
    ]);
  });
  let count = 0;
  const pair = (): Promise<[TestDatabase, TestDatabase]> => createPair(old, recent, `fdw_${++count}`);
  const after = (db: TestDatabase, ...hosts: string[]): Promise<unknown[]> =>
    column(db, `SELECT ${apiSchema}.microsharding_migration_after($1)`, [hosts.join(",")]);

  test("show the shards of all islands, each once, on PostgreSQL 14 and 18", async () => {
    const islands = await pair();
    const hosts = islands.map((db) => hostOf(db));
    for (const db of islands) {
      assert.deepEqual(await after(db, ...hosts), ["public.users"]);
      assert.deepEqual(await rowsOf(db, "users"), [
        ...["sh0001 10", "sh0001 11", "sh0002 20", "sh0002 21"],
        ...["sh0003 130", "sh0003 131", "sh0004 140", "sh0004 141"],
      ]);
      // Conditions and sort orders that the other island would interpret differently, or not at all.
      assert.deepEqual(
        await column(
          db,
          `SELECT id FROM public.users WHERE "Mood" = 'bad' AND code = 'a' ORDER BY "Mood" || '', id`,
        ),
        [10, 20, 130, 140],
      );
      assert.deepEqual(
        await column(db, `SELECT "Mood" FROM public.users WHERE id IN (10, 131) ORDER BY "Mood"`),
        ["bad", "good"],
      );
      assert.deepEqual(await column(db, `SELECT tags FROM public.users WHERE id = 140`), [["x", "y"]]);
      assert.deepEqual(await after(db, ...hosts), [], "nothing has changed");
    }
  });

  test("leave out their own island, and others under a second name", async () => {
    const [here, there] = await pair();
    await after(
      here,
      hostOf(here),
      hostOf(here, "localhost"),
      ` ${hostOf(there)} `,
      `${hostOf(there, "localhost")}/${there.name}`,
      "",
    );
    assert.equal((await rowsOf(here, "users")).length, 8);
    assert.equal((await column(here, "SELECT srvname FROM pg_foreign_server")).length, 1);
  });

  test("can be created in the transaction that installs, on all islands at once", async () => {
    const islands = await pair();
    const hosts = islands.map((db) => hostOf(db)).join(",");
    await Promise.all(
      islands.map((db) =>
        psqlOk(
          db,
          `BEGIN;\n${upScript(apiSchema)}SELECT microsharding_migration_after('${hosts}');\nCOMMIT;`,
        ),
      ),
    );
    for (const db of islands) assert.equal((await rowsOf(db, "users")).length, 8);
  });

  test("leave out replicas", async () => {
    const [here, there] = await pair();
    const replica = await startReplica(recent);
    try {
      await waitFor(
        () =>
          withClient(
            replica.dsn(there.name),
            async (client) => (await client.query("SELECT FROM sh0004.users")).rowCount,
          ),
        {
          what: "the replica to have the shards",
        },
      );
      await after(here, `127.0.0.1:${replica.port}`, hostOf(there));
      assert.deepEqual(
        await column(
          here,
          "SELECT array_to_string(srvoptions, ' ') LIKE '%port=' || $1 || '%' FROM pg_foreign_server",
          [String(recent.port)],
        ),
        [true],
      );
      assert.equal((await rowsOf(here, "users")).length, 8);
    } finally {
      await replica.remove();
    }
  });

  test("follow changes, moves and the list of hosts", async () => {
    const [here, there] = await pair();
    const hosts = [hostOf(there)];
    await after(here, ...hosts);
    await there.rows("ALTER TABLE sh0003.users ADD COLUMN note text");
    await there.rows("UPDATE sh0003.users SET note = 'new'");
    await there.rows(`CREATE TABLE sh0003.other(id int)`);
    assert.deepEqual(await after(here, ...hosts), ["public.other", "public.users"]);
    assert.deepEqual(await column(here, "SELECT count(*)::int FROM users WHERE note = 'new'"), [2]);

    // Shard 4 moves here, shard 1 moves there.
    await there.rows(
      `SELECT ${apiSchema}.microsharding_ensure_inactive(4); SELECT ${apiSchema}.microsharding_ensure_active(1)`,
    );
    await here.rows(
      `SELECT ${apiSchema}.microsharding_ensure_inactive(1); SELECT ${apiSchema}.microsharding_ensure_active(4)`,
    );
    await here.rows("ALTER SCHEMA sh0001 RENAME TO sh0001old_20240131120000");
    assert.deepEqual(await column(here, `SELECT ${apiSchema}.microsharding_debug_views_refresh_()`), [
      "public.other",
      "public.users",
    ]);
    assert.deepEqual(await rowsOf(here, "users"), [
      ...["sh0001 110", "sh0001 111", "sh0002 20", "sh0002 21"],
      ...["sh0003 130", "sh0003 131", "sh0004 40", "sh0004 41"],
    ]);

    // The same host by another name.
    await after(here, hostOf(there, "localhost"));
    assert.equal((await rowsOf(here, "users")).length, 8);

    assert.deepEqual(await after(here), ["public.users"]);
    assert.deepEqual(await made(here), []);
    assert.equal((await rowsOf(here, "users")).length, 4);
  });

  test("are refreshed without an island that cannot be reached", async () => {
    const [here, there] = await pair();
    await after(here, hostOf(there));
    await there.rows(`DROP VIEW ${apiSchema}.microsharding_debug_catalog_`);
    await here.rows(
      `SELECT ${apiSchema}.microsharding_ensure_inactive(1); SELECT ${apiSchema}.microsharding_ensure_active(4)`,
    );
    const { stdout, stderr } = await psql(here, `SELECT ${apiSchema}.microsharding_debug_views_refresh_()`);
    assert.equal(stdout.trim(), "public.users");
    assert.match(stderr, /WARNING: {2}the debug views lack changes of other islands: the SQL API/);
    assert.deepEqual(await rowsOf(here, "users"), [
      "sh0002 20",
      "sh0002 21",
      "sh0003 130",
      "sh0003 131",
      "sh0004 40",
      "sh0004 41",
    ]);
  });

  test("say which island is causing trouble", async () => {
    const [here, there] = await pair();
    await psqlOk(there, `DROP SCHEMA ${apiSchema} CASCADE`);
    await assert.rejects(after(here, hostOf(there)), {
      message: `the SQL API of this version is not installed in schema ${apiSchema} of ${hostOf(there)}`,
    });
    await assert.rejects(after(here, "127.0.0.1:1"), {
      code: "08001",
      message: /microsharding_debug_127_0_0_1_1/,
    });
    for (const host of ["postgresql://user:secret@host/db", "a b", "host:port", "user:secret@host"]) {
      await assert.rejects(after(here, host), (error: Error) => {
        assert.match(error.message, /must look like host, host:port or host:port\/database/);
        assert.doesNotMatch(JSON.stringify(error), /secret/);
        return true;
      });
    }
    assert.deepEqual(await column(here, "SELECT srvname FROM pg_foreign_server"), []);
  });

  test("never drop what somebody has built on the foreign tables", async () => {
    const [here, there] = await pair();
    await after(here, hostOf(there));
    await here.rows("CREATE VIEW mine AS SELECT id FROM microsharding_debug_sh0003.users");
    await there.rows("ALTER TABLE sh0004.users ADD COLUMN note text");
    await assert.rejects(after(here, hostOf(there)), { code: "2BP01", detail: /mine depends on/ });
    await assert.rejects(after(here), { code: "2BP01" });
    assert.deepEqual(await column(here, "SELECT id FROM mine ORDER BY 1"), [130, 131]);
    assert.equal((await rowsOf(here, "users")).length, 8);
    await here.rows("DROP VIEW mine");
    await after(here);
    assert.deepEqual(await made(here), []);
  });

  test("can be composed by hand, from foreign shards under a prefix", async () => {
    const [here, there] = await pair();
    const create = (): Promise<unknown[]> =>
      here.rows(`SELECT server, shard_count FROM ${apiSchema}.microsharding_debug_fdw_create('p%_', $1)`, [
        [hostOf(here, "localhost"), hostOf(there)],
      ]);
    const servers = [`p%__localhost_${here.server.port}`, `p%__127_0_0_1_${there.server.port}`];
    assert.deepEqual(
      await create(),
      servers.map((server) => ({ server, shard_count: 2 })),
    );
    assert.deepEqual(
      await create(),
      servers.map((server) => ({ server, shard_count: 2 })),
    );
    const schemas = ["sh0001", "sh0002", "sh0003", "sh0004"].map((shard) => `"p%__${shard}"`);
    assert.deepEqual(
      await column(here, `SELECT unnest(${apiSchema}.microsharding_debug_fdw_schemas_('p%_'))::text`),
      schemas,
    );
    assert.deepEqual(await column(here, `SELECT id FROM "p%__sh0002".users ORDER BY 1`), [20, 21]);
    await here.rows("CREATE SCHEMA debug");
    await here.rows(`SELECT ${apiSchema}.microsharding_debug_views_create('debug', 'p%_')`);
    assert.deepEqual(await column(here, "SELECT count(*)::int FROM debug.users"), [8]);
    assert.deepEqual(
      await column(here, `SELECT ${apiSchema}.microsharding_debug_fdw_drop('p%_')`),
      servers.toReversed(),
    );
    assert.deepEqual(await made(here), []);
    assert.deepEqual(await column(here, `SELECT ${apiSchema}.microsharding_debug_fdw_drop('p%_')`), []);
  });

  test("leave a database as it was, by a rollback or by the down file", async () => {
    const [here, there] = await pair();
    const objects = `SELECT count(*)::int FROM pg_class`;
    await here.rows("CREATE EXTENSION postgres_fdw");
    const atFirst = await column(here, objects);
    await psqlOk(
      here,
      `BEGIN; SELECT ${apiSchema}.microsharding_migration_after('${hostOf(there)}'); ROLLBACK;`,
    );
    assert.deepEqual(await column(here, objects), atFirst);
    await after(here, hostOf(there));
    await psqlOk(
      here,
      `BEGIN; SET search_path TO ${apiSchema};\n\\i ${DOWN}\nDROP SCHEMA ${apiSchema}; COMMIT;`,
    );
    assert.deepEqual(await made(here), []);
  });

  test("need postgres_fdw, and say so to roles that may not create it", async () => {
    const [here, there] = await pair();
    await here.rows("CREATE ROLE plain_owner LOGIN");
    await here.rows(`GRANT USAGE ON SCHEMA ${apiSchema} TO plain_owner`);
    await here.rows(`ALTER DATABASE ${here.name} OWNER TO plain_owner`);
    const { stderr } = await psql(
      here,
      `SELECT ${apiSchema}.microsharding_migration_after('${hostOf(there)}')`,
      {
        user: "plain_owner",
      },
    );
    assert.match(
      stderr,
      /need the extension postgres_fdw[^]*GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO plain_owner/,
    );
    await here.rows(
      `ALTER DATABASE ${here.name} OWNER TO postgres; DROP OWNED BY plain_owner; DROP ROLE plain_owner`,
    );
  });
});

test("debug views reach islands that ask for a password, which no error shows", async () => {
  const { a, b } = await testIslands();
  const [here, there] = await createPair(a as PostgresServer, b as PostgresServer, `fdw_${process.pid}`);
  const call = (password: string): Promise<void> =>
    here.withClient(async (client) => {
      await client.query("SELECT set_config('microsharding.fdw_password', $1, false)", [password]);
      await client.query(`SELECT ${apiSchema}.microsharding_migration_after($1)`, [hostOf(there)]);
    });
  await assert.rejects(call("wrong-'secret'"), (error: Error) => {
    assert.match(error.message, /could not connect to server/);
    assert.doesNotMatch(JSON.stringify({ ...error, message: error.message }), /secret/);
    return true;
  });
  await call(b.password);
  assert.equal((await rowsOf(here, "users")).length, 8);
  await here.rows(`SELECT ${apiSchema}.microsharding_debug_views_refresh_()`);
  assert.equal((await rowsOf(here, "users")).length, 8);
  await here.rows(`SELECT ${apiSchema}.microsharding_migration_after()`);
});
