import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { MoveInput } from "../../contract/move.ts";
import type { Progress } from "../../contract/story.ts";
import { loadSettings } from "../../src/config/settings.ts";
import { list } from "../../src/operations/list.ts";
import { install } from "../../src/postgres/api/install.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { expectNoLeftovers, type TestDatabase } from "../support/index.ts";
import { activePlaces, createShard, createWorld, resultOf, type World } from "../support/world.ts";

/** Makes a destination record the setting with which each index was built. */
const RECORD_INDEX_BUILDS = `
  CREATE TABLE public.builds (memory text);
  CREATE FUNCTION public.record_build() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.builds VALUES (current_setting('maintenance_work_mem')); END $$;
  CREATE EVENT TRIGGER record_build ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.record_build()`;

/** One world for all shards in this file, each moved under its own number. */
let world: World;
before(async () => {
  world = await createWorld({ forFile: true });
  await world.b.rows(RECORD_INDEX_BUILDS);
  await world.startWorker({ env: { PGOPTIONS: "-c maintenance_work_mem=77MB" } });
});

const schemaOf = (shard: number): string => `sh${String(shard).padStart(4, "0")}`;

/** Creates a shard with the given tables (`:s` is its schema) on the first island and moves it to the second. */
async function moved(
  shard: number,
  sql: string,
  overrides: Partial<MoveInput> = {},
): Promise<{ schema: string; leftover: string; progress: Progress }> {
  const schema = schemaOf(shard);
  await createShard(world.a, shard, sql.replaceAll(":s", schema));
  const handle = await world.startMove({ shard, schema, ...overrides });
  const { leftover } = await resultOf(handle);
  assert.deepEqual(await activePlaces(schema, world.a, world.b), [world.b.name]);
  await expectNoLeftovers(world.a, world.b);
  return { schema, leftover: leftover!, progress: await handle.query(progressQuery) };
}

const validated = (database: TestDatabase, schema: string): Promise<{ convalidated: boolean }[]> =>
  database.rows(
    "SELECT convalidated FROM pg_constraint WHERE contype = 'f' AND connamespace = $1::regnamespace",
    [schema],
  );

const PARENT_AND_CHILD = `
  CREATE TABLE :s.parent (id int PRIMARY KEY); INSERT INTO :s.parent VALUES (1);
  CREATE TABLE :s.child (id int PRIMARY KEY, parent int REFERENCES :s.parent); INSERT INTO :s.child VALUES (1, 1)`;

describe("a shard", () => {
  it("that is empty moves", async () => {
    const { schema, leftover } = await moved(1, "");
    const rows = await world.b.rows("SELECT FROM pg_class WHERE relnamespace = $1::regnamespace", [schema]);
    assert.deepEqual(rows, []);
    assert.match(leftover, /^sh0001old_\d{14}$/);
  });

  for (const copyMethod of ["direct", "tablesync"] as const) {
    it(`of 300 tables moves with every row (${copyMethod})`, async () => {
      const shard = copyMethod === "direct" ? 2 : 3;
      const { schema } = await moved(
        shard,
        `DO $$ BEGIN
           FOR i IN 1..300 LOOP
             EXECUTE format('CREATE TABLE :s.t%s (id int PRIMARY KEY, t text); CREATE INDEX ON :s.t%s (t)', i, i);
             EXECUTE format('INSERT INTO :s.t%s SELECT n, n FROM generate_series(1, %s) n', i, i % 5);
           END LOOP;
         END $$`,
        { copyMethod },
      );
      const [counts] = await world.b.rows<{ tables: string; indexes: string; rows: string }>(
        `SELECT count(*) FILTER (WHERE relkind = 'r') AS tables, count(*) FILTER (WHERE relkind = 'i') AS indexes,
           sum((xpath('//c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', oid::regclass), false, true, '')))[1]::text::int)
             FILTER (WHERE relkind = 'r') AS rows
         FROM pg_class WHERE relnamespace = $1::regnamespace`,
        [schema],
      );
      assert.deepEqual(counts, { tables: "300", indexes: "600", rows: "600" });
    });
  }

  it("whose name, tables and columns need quotes moves", async () => {
    const own = await createWorld();
    for (const database of [own.a, own.b])
      await database.withClient((client) => install(client, { schemaNameFmt: `Sh "%04d"; 'x` }));
    const schema = `Sh "0007"; 'x`;
    const table = qualified(schema, 'select "from" $1');
    await createShard(
      own.a,
      7,
      `CREATE TABLE ${table} ("user" serial PRIMARY KEY, "order ""by""" text DEFAULT 'it''s', "%I" int);
       CREATE INDEX "Table" ON ${table} ("order ""by""", "%I");
       INSERT INTO ${table} ("%I") SELECT generate_series(1, 20)`,
    );
    await own.startWorker();
    const { leftover } = await resultOf(
      await own.startMove({ shard: 7, schema, deactivateSql: "COMMENT ON SCHEMA public IS $1" }),
    );
    assert.deepEqual(await activePlaces(schema, own.a, own.b), [own.b.name]);
    const [row] = await own.b.rows(`INSERT INTO ${table} DEFAULT VALUES RETURNING *`);
    assert.deepEqual(row, { user: 21, 'order "by"': "it's", "%I": null });
    // What deactivate-sql receives is a literal with a name that can be used as it is.
    const [{ comment } = { comment: "" }] = await own.a.rows<{ comment: string }>(
      "SELECT obj_description('public'::regnamespace, 'pg_namespace') AS comment",
    );
    assert.equal(comment, qualified(leftover!, 'select "from" $1'));
    assert.equal((await own.a.rows(`SELECT FROM ${comment}`)).length, 20);
  });

  it("has each table of its old copy, which is already renamed, processed by deactivate-sql", async () => {
    await world.a.rows("CREATE TABLE public.deactivated (name text)");
    const { leftover } = await moved(4, PARENT_AND_CHILD, {
      deactivateSql: "INSERT INTO public.deactivated SELECT $1 WHERE to_regclass($1) IS NOT NULL",
    });
    const rows = await world.a.rows<{ name: string }>("SELECT name FROM public.deactivated ORDER BY 1");
    assert.deepEqual(
      rows.map(({ name }) => name),
      [qualified(leftover, "child"), qualified(leftover, "parent")],
    );
  });

  it("has moved even if deactivate-sql fails, and the move says what failed", async () => {
    const { progress } = await moved(5, PARENT_AND_CHILD, { deactivateSql: "SELECT 1 / 0 WHERE $1 <> ''" });
    const told = progress.events.find(({ step }) => step === "clean up")?.text;
    assert.match(told ?? "", /FAILED: --deactivate-sql for table "child": division by zero/);
    assert.equal(progress.phase, "done");
  });

  it("has its foreign keys NOT VALID, and valid with validate-fks", async () => {
    const [without, validating] = [
      await moved(6, PARENT_AND_CHILD),
      await moved(8, PARENT_AND_CHILD, { validateFks: true }),
    ];
    assert.deepEqual(await validated(world.b, without.schema), [{ convalidated: false }]);
    assert.deepEqual(await validated(world.b, validating.schema), [{ convalidated: true }]);
    const twice = await moved(
      12,
      PARENT_AND_CHILD.replace(" REFERENCES :s.parent", "") +
        "; ALTER TABLE :s.child ADD FOREIGN KEY (parent) REFERENCES :s.parent NOT VALID",
      { validateFks: true },
    );
    assert.deepEqual(await validated(world.b, twice.schema), [{ convalidated: true }]);
  });

  it("has its indexes built with the PGOPTIONS of the worker", async () => {
    await world.b.rows("TRUNCATE public.builds");
    await moved(9, "CREATE TABLE :s.t (id int PRIMARY KEY, a int); CREATE INDEX ON :s.t (a)");
    assert.deepEqual(await world.b.rows("SELECT * FROM public.builds"), [{ memory: "77MB" }]);
  });
});

describe("what goes wrong with pg-microsharding", () => {
  it("does not: the first insert into an identity or serial column after a move gets the next value", async () => {
    const { schema } = await moved(
      10,
      `CREATE TABLE :s.always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text);
       CREATE TABLE :s.old_style (id serial PRIMARY KEY, t text);
       INSERT INTO :s.always (t) SELECT 'a' FROM generate_series(1, 7);
       INSERT INTO :s.old_style (t) SELECT 'a' FROM generate_series(1, 9)`,
    );
    for (const [table, id] of [
      ["always", "8"],
      ["old_style", 10],
    ] as const) {
      assert.deepEqual(await world.b.rows(`INSERT INTO ${schema}.${table} (t) VALUES ('b') RETURNING id`), [
        { id },
      ]);
    }
  });

  it("does not: sequences of other schemas stay as they are, on both islands", async () => {
    const state = async (): Promise<unknown[]> => [
      await world.a.rows("SELECT last_value, is_called FROM public.bystander"),
      await world.b.rows("SELECT last_value, is_called FROM public.bystander"),
    ];
    for (const database of [world.a, world.b])
      await database.rows("CREATE SEQUENCE public.bystander START 5");
    await world.a.rows("SELECT nextval('public.bystander')");
    const states = await state();
    await moved(11, "CREATE TABLE :s.t (id serial PRIMARY KEY); INSERT INTO :s.t DEFAULT VALUES");
    assert.deepEqual(await state(), states);
  });

  it("does not: list shows an empty first island beside the others", async () => {
    const empty = await createWorld();
    const env = { DSNS: [empty.a, world.b].map(({ dsn }) => dsn).join(",") };
    const { islands } = await list(await loadSettings({ action: "list", env, skipConfig: true }));
    assert.equal(islands[0]!.shards.length, 0);
    assert.ok(islands[1]!.shards.some(({ schema }) => schema === schemaOf(10)));
  });
});
