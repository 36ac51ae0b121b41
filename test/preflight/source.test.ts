import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { install } from "../../src/postgres/api/install.ts";
import { startPostgres } from "../../src/sandbox/index.ts";
import { createDatabase, type TestDatabase, testIslands, withClient } from "../support/index.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";
import { inspected } from "./inspected.ts";

async function islands(): Promise<{ a: TestDatabase; b: TestDatabase }> {
  const servers = await testIslands();
  const [a, b] = await Promise.all([createDatabase(servers.a), createDatabase(servers.b)]);
  for (const database of [a, b]) await database.withClient((client) => install(client));
  return { a, b };
}

const SQLSTATE_OF_DISK_FULL = "53100";

/** An event trigger that refuses commands with a tag. */
const refusing = (tag: string, sqlstate = "P0001"): string => `
  CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no % here', tg_tag USING ERRCODE = '${sqlstate}'; END $$;
  CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('${tag}') EXECUTE FUNCTION public.refuse()`;

describe("what the switch will do on the source", { timeout: 120_000 }, () => {
  for (const tag of ["ALTER SCHEMA", "ALTER SEQUENCE"])
    it(`is refused beforehand, if an event trigger refuses ${tag}`, async () => {
      const world = await createWorld();
      const { a, b } = world;
      await createShard(a, 42, "CREATE TABLE sh0042.t (id serial PRIMARY KEY)");
      await a.rows(refusing(tag));
      await world.startWorker();
      await assert.rejects(resultOf(await world.startMove()), (error: Error) => {
        assert.match(error.message, new RegExp(`the switch could not run ${tag} .* on .*: no ${tag} here`));
        assert.match(error.message, /ALTER EVENT TRIGGER guard DISABLE/);
        return true;
      });
      assert.deepEqual(await b.rows("SELECT FROM pg_namespace WHERE nspname = 'sh0042'"), []);
      // A copy and a rehearsal leave the source as it is.
      const { problems } = await inspected(a, b, { activateOnDestination: false });
      assert.deepEqual(problems, []);
    });

  it("is no reason to refuse the move if the source only lacks something", async () => {
    const { a, b } = await islands();
    await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    await a.rows(refusing("ALTER SCHEMA", SQLSTATE_OF_DISK_FULL));
    await assert.rejects(inspected(a, b), { code: SQLSTATE_OF_DISK_FULL });
  });

  it("is tried without a lock for which anybody waits", async () => {
    const { a, b } = await islands();
    await createShard(a, 42, "CREATE TABLE sh0042.t (id serial PRIMARY KEY, name text)");
    await withClient(a.dsn, async (writer) => {
      await writer.query("BEGIN; INSERT INTO sh0042.t (name) VALUES ('a')");
      const { problems } = await inspected(a, b);
      assert.deepEqual(problems, []);
      await writer.query("COMMIT");
    });
    assert.deepEqual(await a.rows("SELECT nspname FROM pg_namespace WHERE nspname ~ 'rehearsal'"), []);
  });
});

it("a server without room for the locks of a move is refused before anything is locked, with the room that it needs", async () => {
  const server = await startPostgres({
    version: 17,
    settings: {
      max_locks_per_transaction: "10",
      max_connections: "20",
      max_wal_senders: "5",
      max_worker_processes: "8",
      max_prepared_transactions: "0",
    },
  });
  const a = await createDatabase(server);
  const b = await createDatabase((await testIslands()).b);
  for (const database of [a, b]) await database.withClient((client) => install(client));
  const create = async (database: TestDatabase): Promise<void> => {
    await createShard(database, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    for (let from = 0; from < 1000; from += 50)
      await database.rows(
        `DO $$ BEGIN FOR i IN ${from}..${from + 49} LOOP EXECUTE format('CREATE TABLE sh0042.t%s ()', i); END LOOP; END $$`,
      );
  };
  await create(a);
  const { problems } = await inspected(a, b);
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(problems[0]!, /has room for 360 locks, and .* \(1,051\): raise max_locks_per_transaction/);
  // 360 locks are 10 for each of 36 transactions.
  assert.match(problems[0]!, / there to 30 or more, and restart it$/);
  // The destination locks all tables, too, when it creates the subscription.
  await create(b);
  const empty = await createDatabase(server);
  await empty.withClient((client) => install(client));
  const there = (await inspected(b, empty)).problems;
  assert.equal(there.length, 1, there.join("\n"));
  assert.match(there[0]!, / there to 30 or more, and restart it$/);
});

describe("what is told of many things at once", { timeout: 120_000 }, () => {
  it("is one line for the columns of a relation, and ten reasons of a kind at most", async () => {
    const { a, b } = await islands();
    const columns = Array.from({ length: 100 }, (_, i) => `${i} AS c${i}`).join(", ");
    const reading = Array.from({ length: 100 }, (_, i) => `c${i}`).join(", ");
    const domains = Array.from({ length: 80 }, (_, i) => `CREATE DOMAIN other.d${i} AS text`).join(";");
    const uses = Array.from({ length: 80 }, (_, i) => `x${i} other.d${i}`).join(", ");
    await a.rows(`CREATE SCHEMA other; CREATE VIEW other.v AS SELECT ${columns}; ${domains}`);
    await b.rows("CREATE SCHEMA other; CREATE VIEW other.v AS SELECT 1 AS other");
    await createShard(
      a,
      42,
      `CREATE VIEW sh0042.v AS SELECT ${reading} FROM other.v; CREATE TABLE sh0042.t (${uses})`,
    );
    const { problems } = await inspected(a, b);
    assert.equal(problems.length, 11);
    assert.match(
      problems.at(-1)!,
      /^and 71 more of this kind \(outside_objects\); shardferry doctor --json /,
    );
    await a.rows("DROP TABLE sh0042.t");
    const few = (await inspected(a, b)).problems;
    assert.equal(few.length, 1, few.join("\n"));
    assert.match(few[0]!, /^view other\.v with 100 columns, among them c\d+.* is missing on/);
    assert.ok(few[0]!.length < 300);
  });

  it("says where an extension has to go, and what arrives different", async () => {
    const { a, b } = await islands();
    await a.rows("CREATE EXTENSION hstore SCHEMA public");
    await b.rows("CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext");
    const tables = Array.from({ length: 60 }, (_, i) => `CREATE TABLE sh0042.k${i} (h int)`).join(";");
    await createShard(
      a,
      42,
      `CREATE TABLE sh0042.t (id int PRIMARY KEY, h public.hstore); ${tables};
       CREATE MATERIALIZED VIEW sh0042.m AS SELECT id FROM sh0042.t`,
    );
    const { problems } = await inspected(a, b);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(
      problems[0]!,
      /^extension hstore is in schema ext on .* and not in public: ALTER EXTENSION hstore SET SCHEMA public$/,
    );
    await b.rows("ALTER EXTENSION hstore SET SCHEMA public");
    const { warnings } = (await inspected(a, b)).plan!;
    assert.ok(
      warnings.some((text) => /60 tables, among them/.test(text)),
      warnings.join("\n"),
    );
    assert.ok(
      warnings.some((text) => /as by REFRESH: materialized view m$/.test(text)),
      warnings.join("\n"),
    );
    assert.ok(warnings.every((text) => text.length < 400));
  });
});
