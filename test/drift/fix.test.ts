import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Drift } from "../../src/operations/drift.ts";
import { createDatabase, type TestDatabase } from "../support/index.ts";
import { createZoo, makeZoo, prepareForZoo } from "../support/zoo.ts";
import { createIsland, createShards, find, serverOf, shown } from "./islands.ts";

/** Runs the repair of each shard as one transaction in one session, as the command prints it. */
async function applyFix(island: TestDatabase, { groups }: Drift): Promise<string> {
  const scripts: string[] = [];
  for (const { schema, statements } of groups.flatMap(({ fix = [] }) => fix)) {
    const outside = statements.filter((one) => / ADD VALUE |^REINDEX /.test(one));
    const rest = statements.filter((one) => !outside.includes(one));
    for (const part of [
      ...outside,
      `SET check_function_bodies TO off; BEGIN; ${rest.join("\n;\n")}\n;COMMIT`,
    ]) {
      scripts.push(part);
      await island
        .withClient((client) => client.query(part))
        .catch((error: Error & { position?: string }) => {
          const at = Number(error.position ?? 1);
          assert.fail(
            `${schema}: ${error.message} near ${part.slice(Math.max(0, at - 300), at + 200)}\n${part}`,
          );
        });
    }
  }
  return scripts.join("\n");
}

/**
 * Seeds of random differences, by the number of the shard that is the reference: shard 1 is whole, so that the others lack
 * things; against shard 2, they also have too much. Each took another kind of dependency to be repaired.
 */
const given = process.env["DRIFT_SEEDS"]?.split(",").map(Number);
const SEEDS = [
  { reference: 1, seeds: given ?? [37139, 2] },
  { reference: 2, seeds: given ?? [105, 115] },
];

describe("the repair of a shard", { timeout: 300_000 }, () => {
  for (const version of [14, 18] as const) {
    it(`comes in an order that runs, and names what it leaves, on PostgreSQL ${version}`, async () => {
      const island = await createIsland(version);
      const sql = `
        CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE TABLE pet (id integer PRIMARY KEY, feels mood);
        CREATE FUNCTION of_pet(p pet) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
        CREATE FUNCTION agree(a integer, b integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT a';
        CREATE TABLE other (id integer DEFAULT of_pet(NULL), CHECK (agree(id, 1) > 0));
        CREATE AGGREGATE total(integer) (SFUNC = agree, STYPE = integer, INITCOND = '0');
        CREATE AGGREGATE rows(*) (SFUNC = int4inc, STYPE = integer, INITCOND = '0');
        ALTER AGGREGATE total(integer) OWNER TO pg_monitor;
        ALTER AGGREGATE rows(*) OWNER TO pg_monitor;
        CREATE MATERIALIZED VIEW first AS SELECT id FROM pet;
        CREATE MATERIALIZED VIEW second AS SELECT id FROM first;
        CREATE INDEX ON second (id);
        CREATE VIEW totals AS SELECT total(id) FROM pet;
        CREATE INDEX happy ON pet (id) WHERE feels = 'happy';`;
      await createShards(island, [1, 2, 3, 4, 5], sql);
      await createShards(island, [6], "SELECT");
      const change = (no: number, text: string): Promise<unknown> =>
        island.withClient((client) => client.query(`SET search_path TO sh000${no}; ${text}`));
      await change(3, "DROP MATERIALIZED VIEW second; REFRESH MATERIALIZED VIEW first WITH NO DATA");
      await change(
        4,
        "DROP INDEX happy; ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'; DROP FUNCTION of_pet(pet) CASCADE",
      );
      await change(
        5,
        `CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY REFERENCES a);
         ALTER TABLE a ADD FOREIGN KEY (id) REFERENCES b; CREATE TYPE shade AS ENUM ('x');
         CREATE FUNCTION of_a(a) RETURNS shade LANGUAGE sql AS $$ SELECT 'x'::shade $$;
         DROP INDEX happy; ALTER TABLE pet ALTER feels TYPE shade USING NULL; DROP VIEW totals; DROP AGGREGATE total(integer);
         DROP FUNCTION agree(integer, integer) CASCADE;
         CREATE FUNCTION agree(a integer, b integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a::bigint';
         ALTER TABLE other ADD CHECK (agree(id, 1) > 0)`,
      ).catch((error: Error) => assert.fail(error.message));
      const script = await applyFix(island, await find([island], { fixSql: true, reference: 1 }));
      for (const left of ["index happy of pet", "aggregate total(integer)", "view totals"])
        assert.ok(script.includes(left) || /left out/.test(script), left);
      const after = await find([island], { fixSql: true, reference: 1 });
      const still = new Map(after.groups.slice(1).map((one) => [one.shards.join(), one.differences]));
      assert.deepEqual(
        Object.fromEntries(
          [...still].map(([shards, list]) => [shards, list.map(({ object }) => object).sort()]),
        ),
        {
          sh0004: ["index happy of pet", "type mood"],
          sh0005: [
            "aggregate total(integer)",
            "owner of aggregate total(integer)",
            "owner of view totals",
            "view totals",
          ],
          sh0006: [
            "aggregate rows()",
            "aggregate total(integer)",
            "owner of aggregate rows()",
            "owner of aggregate total(integer)",
            "owner of view totals",
            "view totals",
          ],
        },
        shown(after),
      );
      const again = after.groups.flatMap(({ fix = [] }) => fix.flatMap(({ statements }) => statements));
      for (const statement of again) assert.match(statement, /^--/, "the second repair has nothing to run");
    });
  }

  for (const version of [14, 18] as const) {
    it(`makes a shard with every kind of object of an empty one, on PostgreSQL ${version}`, async () => {
      const island = await createIsland(version);
      await createZoo(island, await createDatabase(await serverOf(version)), { schema: "sh0001", shard: 1 });
      await createShards(island, [2], "SELECT");
      await applyFix(island, await find([island], { fixSql: true, reference: 1 }));
      // New default privileges have given new objects more than they should have.
      await applyFix(island, await find([island], { fixSql: true, reference: 1 }));
      const after = await find([island], { fixSql: true, reference: 1 });
      const again = after.groups.flatMap(({ fix = [] }) => fix.flatMap(({ statements }) => statements));
      for (const statement of again) assert.match(statement, /^--/, statement);
    });
  }

  it("of random differences runs through, and a second one leaves nothing to run", async () => {
    const zoos = await createZoos([1, 2, 3, 4, 5, 6, 7]);
    for (const { reference, seeds } of SEEDS)
      for (const seed of seeds)
        await repairTwice(zoos, reference, seed).catch((error: Error) =>
          assert.fail(`DRIFT_SEEDS=${seed}, reference ${reference}: ${error.message}`),
        );
  });
});

async function repairTwice(zoos: TestDatabase, reference: number, seed: number): Promise<void> {
  const island = await createDatabase(zoos.server, { template: zoos.name });
  const random = randomOf(seed);
  for (let no = 2; no <= 7; no++) await damage(island, `sh000${no}`, random);
  const found = (): Promise<Drift> => find([island], { fixSql: true, reference });
  await applyFix(island, await found());
  // New default privileges have given new objects more than they should have.
  await applyFix(island, await found());
  const { groups } = await found();
  const again = groups.flatMap(({ fix = [] }) => fix.flatMap(({ statements }) => statements));
  for (const statement of again) assert.match(statement, /^--/, statement);
  await island.drop();
}

/** A database with shards that each have every kind of object, and no rows: these may violate what is added. */
async function createZoos(numbers: readonly number[]): Promise<TestDatabase> {
  const zoos = await createIsland(18);
  await prepareForZoo(zoos);
  for (const no of numbers) {
    await makeZoo(zoos, `sh000${no}`, 18);
    await zoos.rows("SELECT microsharding.microsharding_ensure_active($1)", [no]);
    await zoos.rows(
      `DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'sh000${no}'::regnamespace
         AND relkind IN ('r', 'p') LOOP EXECUTE format('TRUNCATE %s CASCADE', t); END LOOP; END $$`,
    );
  }
  return zoos;
}

function randomOf(seed: number): () => number {
  let state = seed + 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

/** Drops some objects of a schema with all that depends on them. */
async function damage(island: TestDatabase, schema: string, random: () => number): Promise<void> {
  const rows = await island.rows<{ sql: string }>(
    `SELECT format('DROP %s %s CASCADE', CASE o.type WHEN 'table' THEN 'TABLE' WHEN 'view' THEN 'VIEW' WHEN 'index' THEN 'INDEX'
       WHEN 'materialized view' THEN 'MATERIALIZED VIEW' WHEN 'function' THEN 'FUNCTION' WHEN 'type' THEN 'TYPE' ELSE 'SEQUENCE' END, o.identity) AS sql
     FROM pg_depend d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) o
     WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace($1) AND d.deptype = 'n'
       AND o.type IN ('table', 'view', 'materialized view', 'function', 'type', 'sequence', 'index')
     UNION ALL
     SELECT format('ALTER TABLE %s DROP COLUMN %I CASCADE', a.attrelid::regclass, a.attname)
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND NOT c.relispartition AND a.attnum > 1 AND NOT a.attisdropped
       AND a.attinhcount = 0 AND c.reloftype = 0
     ORDER BY 1`,
    [schema],
  );
  const chosen = rows.filter(() => random() < 0.06);
  // What an earlier one has dropped is gone.
  for (const { sql } of chosen)
    await island
      .rows(sql)
      .catch((error: { code?: string }) => assert.match(error.code ?? "", /^(?:42|2BP01)/));
}
