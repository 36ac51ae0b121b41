import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ident } from "../../src/postgres/quote.ts";
import { createDatabase } from "../support/index.ts";
import { createZoo } from "../support/zoo.ts";
import { BASE, CHANGES } from "./changes.ts";
import { createIsland, createShards, find, groupsOf, NEWEST, serverOf, shown, VERSIONS } from "./islands.ts";

describe("drift", () => {
  it("sees that two shards with every kind of object are the same, on PostgreSQL 14 and the newest", async () => {
    const [old, young] = [await createIsland(14), await createIsland(NEWEST)];
    await createZoo(old, await createDatabase(await serverOf(14)));
    await createZoo(young, await createDatabase(await serverOf(NEWEST)), {
      schema: "sh0007",
      shard: 7,
      major: 14,
    });
    const found = await find([old, young]);
    assert.deepEqual(groupsOf(found), ["sh0007 sh0042"], shown(found));
  });

  it("also sees what no DDL can create, on servers of different versions", async () => {
    const islands = [await createIsland(14), await createIsland(NEWEST)] as const;
    const aggregate = (initial: string): string =>
      `CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '${initial}')`;
    await createShards(islands[0], [1, 2], `CREATE TABLE pair (a integer, b integer); ${aggregate("0")}`);
    await createShards(islands[1], [3], `CREATE TABLE pair (a integer, b integer); ${aggregate("0")}`);
    await createShards(islands[1], [4], `CREATE TABLE pair (b integer, a integer); ${aggregate("0")}`);
    await createShards(islands[1], [5], `CREATE TABLE pair (a integer, b integer); ${aggregate("7")}`);
    const found = await find(islands);
    assert.deepEqual(groupsOf(found), ["sh0001 sh0002 sh0003", "sh0004", "sh0005"], shown(found));
  });

  for (const version of VERSIONS) {
    it(`names each change of one shard, and writes DDL that brings it in line, on PostgreSQL ${version}`, async () => {
      const island = await createIsland(version);
      const drifted = CHANGES.map((_, i) => i + 10);
      await createShards(island, [1, 2, ...drifted], BASE);
      assert.equal((await find([island])).groups.length, 1);
      for (const [i, { sql }] of CHANGES.entries()) {
        await island.withClient((client) => client.query(`SET search_path TO sh00${i + 10}; ${sql}`));
      }

      const found = await find([island], { fixSql: true, reference: 1 });
      const [right, ...others] = found.groups;
      assert.deepEqual(right!.shards, ["sh0001", "sh0002"], shown(found));
      const byShard = new Map(
        others.flatMap((group) => group.shards.map((shard) => [shard, group] as const)),
      );
      for (const [i, { sql, says }] of CHANGES.entries()) {
        const group = byShard.get(`sh00${i + 10}`);
        assert.ok(group, `not seen: ${sql}`);
        const text = group.differences
          .map(({ change, object, reference, here }) => `${change} ${object} | ${reference} | ${here}`)
          .join("\n");
        for (const words of [says].flat()) assert.ok(text.includes(words), `${sql} gave ${text}`);
        assert.ok(!text.includes("sh00"), text);
        const statements = group.fix!.find(({ schema }) => schema === `sh00${i + 10}`)!.statements;
        for (const statement of statements) {
          await island
            .rows(statement)
            .catch((error: Error) => assert.fail(`${sql} gave ${statement}: ${error.message}`));
        }
      }
      // Only what no DDL can do is left.
      const left = CHANGES.flatMap(({ fixed = true }, i) => (fixed ? [] : [`sh00${i + 10}`]));
      const after = await find([island], { reference: 1 });
      const still = after.groups.slice(1).flatMap(({ shards }) => shards);
      assert.deepEqual(still.sort(), left, shown(after));
    });
  }

  for (const version of VERSIONS) {
    it(`writes DDL that temporarily removes what reads a changed column or view, on PostgreSQL ${version}`, async () => {
      const island = await createIsland(version);
      const tables = (type: string, generated: string, filter: string): string => `
        CREATE TABLE "s een" (id integer, n ${type}${generated});
        CREATE VIEW one AS SELECT n FROM "s een" ${filter};
        CREATE MATERIALIZED VIEW two AS SELECT n FROM one;
        CREATE INDEX ON two (n);
        CREATE VIEW other AS SELECT id FROM users;
        GRANT SELECT ON one TO pg_monitor;
        CREATE POLICY few ON "s een" USING (n > 1);
        CREATE TRIGGER touched BEFORE UPDATE OF n ON "s een" FOR EACH ROW EXECUTE FUNCTION touch();
        ALTER TABLE "s een" DISABLE TRIGGER touched;`;
      const generated = ", twice integer GENERATED ALWAYS AS (n * 2) STORED";
      await createShards(island, [1, 2], BASE + tables("integer", generated, ""));
      await createShards(island, [3], BASE + tables("bigint", "", ""));
      await createShards(island, [4], BASE + tables("integer", generated, "WHERE n > 0"));
      const found = await find([island], { fixSql: true });
      assert.deepEqual(groupsOf(found), ["sh0001 sh0002", "sh0003", "sh0004"], shown(found));
      const statements = found.groups.slice(1).flatMap(({ fix }) => fix![0]!.statements);
      assert.doesNotMatch(statements.join("\n"), /DROP VIEW .*other/);
      for (const statement of statements)
        await island
          .rows(statement)
          .catch((error: Error) => assert.fail(`${statements.join(";\n")}: ${error.message}`));
      const after = await find([island]);
      assert.equal(after.groups.length, 1, shown(after));
    });
  }

  for (const version of VERSIONS) {
    it(`writes DDL that drops and adds a generated column around a change of what it reads, on PostgreSQL ${version}`, async () => {
      const island = await createIsland(version);
      const tables = (type: string): string => `
        CREATE TABLE calc (id integer, n ${type}, plain integer, twice numeric GENERATED ALWAYS AS (n * 2) STORED UNIQUE,
          CONSTRAINT more CHECK (twice > 0));
        INSERT INTO calc VALUES (1, 21, 3);
        CREATE TABLE mid (n ${type}, twice ${type} GENERATED ALWAYS AS (n * 2) STORED, last integer);
        CREATE TABLE half (twice numeric REFERENCES calc (twice));
        INSERT INTO half VALUES (42);
        CREATE INDEX ON calc (plain, twice);
        CREATE STATISTICS calc_stat ON plain, twice FROM calc;
        CREATE VIEW seen AS SELECT twice FROM calc;
        CREATE POLICY few ON calc USING (twice > 1);
        CREATE TRIGGER touched BEFORE UPDATE ON calc FOR EACH ROW WHEN (OLD.plain > 5) EXECUTE FUNCTION touch();
        ALTER TABLE calc ALTER twice SET STATISTICS 500;
        GRANT SELECT (twice), UPDATE (n) ON calc TO pg_monitor;`;
      await createShards(island, [1, 2], BASE + tables("integer"));
      await createShards(island, [3], BASE + tables("bigint"));
      await createShards(island, [4], BASE + tables("numeric(20,2)"));
      const found = await find([island], { fixSql: true });
      assert.deepEqual(groupsOf(found), ["sh0001 sh0002", "sh0003", "sh0004"], shown(found));
      for (const { fix } of found.groups.slice(1)) {
        const statements = fix![0]!.statements;
        assert.equal(
          statements.filter((one) => /-- column twice of mid will be at the end/.test(one)).length,
          1,
        );
        assert.doesNotMatch(statements.join("\n"), /-- loses/);
        for (const statement of statements)
          await island
            .rows(statement)
            .catch((error: Error) => assert.fail(`${statements.join(";\n")}: ${error.message}`));
      }
      // A column from between others ends up at the end, which no DDL can change.
      const after = await find([island]);
      assert.deepEqual(
        after.groups.flatMap(({ differences }) => differences.map(({ object }) => object)),
        ["order of the columns of table mid"],
        shown(after),
      );
      assert.deepEqual(
        await island.rows("SELECT twice::int FROM sh0003.calc JOIN sh0004.half USING (twice)"),
        [{ twice: 42 }],
      );
    });
  }

  it("removes the name of the shard's own schema wherever it occurs, even one that needs quotes", async () => {
    const island = await createIsland(18, `o'S "%d`);
    const naming = (name: string): string => `
      CREATE FUNCTION size() RETURNS bigint LANGUAGE sql SET search_path TO ${ident(name)}, public
        AS $$ SELECT count(*) FROM ${ident(name)}.users WHERE name <> '${name.replaceAll("'", "''")}' $$;
      CREATE INDEX odd ON users (name) WHERE name <> '${name.replaceAll("'", "''")}'`;
    for (const no of [1, 2, 11, 12]) await createShards(island, [no], BASE + naming(`o'S "${no}`));
    const same = await find([island]);
    assert.equal(same.groups.length, 1, shown(same));
    await island.rows(`DROP FUNCTION "o'S ""11".size(); DROP INDEX "o'S ""11".odd`);
    const found = await find([island], { fixSql: true });
    assert.deepEqual(groupsOf(found), [[1, 2, 12].map((no) => `o'S "${no}`).join(" "), `o'S "11`]);
    for (const statement of found.groups[1]!.fix![0]!.statements) await island.rows(statement);
    assert.equal((await find([island])).groups.length, 1);
  });
});
