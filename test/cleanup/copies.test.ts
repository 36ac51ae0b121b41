import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { wayBackWorkflowId } from "../../contract/way-back.ts";
import type { Leftover } from "../../src/cleanup/leftover.ts";
import { cleanup, findLeftovers } from "../../src/operations/cleanup.ts";
import { install } from "../../src/postgres/api/install.ts";
import { ident } from "../../src/postgres/quote.ts";
import { markOf } from "../../src/postgres/replication/names.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";
import { createShard } from "../support/world.ts";
import { islandOf, schemasOf, settingsOf } from "./islands.ts";

/** Two islands with the SQL API; shard 1 is active on the first, shard 42 on the second. */
async function createIslands(): Promise<[TestDatabase, TestDatabase]> {
  const { a, b } = await testIslands();
  const pair = [await createDatabase(a), await createDatabase(b)] as [TestDatabase, TestDatabase];
  await Promise.all(pair.map((database) => database.withClient((client) => install(client))));
  await createShard(pair[0], 1, "CREATE TABLE sh0001.t (id int)");
  await createShard(pair[1], 42, "CREATE TABLE sh0042.t (id int)");
  return pair;
}

/** Creates schemas with a table in each. */
async function createCopies(database: TestDatabase, ...names: string[]): Promise<void> {
  for (const name of names)
    await database.rows(
      `CREATE SCHEMA ${ident(name)}; CREATE TABLE ${ident(name)}.t AS SELECT * FROM generate_series(1, 1000)`,
    );
}

const brief = (found: readonly Leftover[]): [string, string, boolean][] =>
  found.map(({ kind, name, kept }) => [kind, name, kept !== null]);

const daysAgo = (days: number): string =>
  new Date(Date.now() - days * 86_400_000).toISOString().replace(/\D/g, "").slice(0, 14);

describe("cleanup of copies", { concurrency: 2, timeout: 120_000 }, () => {
  it("keeps an old copy to which a shard could have come back, if the shard is active nowhere else", async () => {
    const [a, b] = await createIslands();
    await createCopies(a, "sh0007", "sh0042");
    for (const schema of ["sh0007", "sh0042"]) {
      const mark = markOf(wayBackWorkflowId(schema, 0), "a-run", islandOf(b), new Date(), "it can come back");
      await a.rows(`COMMENT ON SCHEMA ${schema} IS '${mark}'`);
    }
    const found = await findLeftovers(await settingsOf([a, b]), null);
    assert.deepEqual(brief(found), [
      ["half-made copy", "sh0007", true],
      ["half-made copy", "sh0042", false],
    ]);
    assert.match(found[0]!.kept!, /may be its only copy/);
  });

  it("drops old copies and rehearsals, ours and those of pg-microsharding, and nothing that only looks like one", async () => {
    const [a, b] = await createIslands();
    const ours = ["sh0042new_20240131120000", "sh0042old_20240131120000"];
    const theirs = ["sh0042new", "sh0042old20240131120000"];
    const others = [
      // Not a time; not the way in which the SQL API names shards; not about a shard at all.
      ...["sh0042old_20241331120000", "sh0042old_2024", "sh0042older", "sh0042_new", "sh0042new1"],
      ...["sh42old_20240131120000", "SH0042new", "xsh0042new", "sh0042xold20240131120000"],
      ...["customers_old_20240131120000", "new", "brandnew", "old_20240131120000"],
    ];
    await createCopies(a, ...ours, ...theirs, ...others);
    await createCopies(b, "sh0001old20240131120000");
    const settings = await settingsOf([a, b]);
    const found = await findLeftovers(settings, null);
    assert.deepEqual(
      found.map(({ island, kind, name, schema, workflowId, since, kept }) =>
        [island, kind, name, schema, workflowId, since, kept].join(" "),
      ),
      [
        `${islandOf(a)} rehearsal sh0042new sh0042   `,
        `${islandOf(a)} rehearsal sh0042new_20240131120000 sh0042 move-sh0042 2024-01-31T12:00:00.000Z `,
        `${islandOf(a)} old copy sh0042old20240131120000 sh0042  2024-01-31T12:00:00.000Z `,
        `${islandOf(a)} old copy sh0042old_20240131120000 sh0042 move-sh0042 2024-01-31T12:00:00.000Z `,
        `${islandOf(b)} old copy sh0001old20240131120000 sh0001  2024-01-31T12:00:00.000Z `,
      ],
    );
    for (const { bytes } of found) assert.ok(bytes! > 32_000 && bytes! < 200_000, String(bytes));
    const lines: string[] = [];
    const { dropped, failed } = await cleanup(settings, null, found, (line) => lines.push(line));
    assert.deepEqual([dropped.length, failed], [5, []]);
    assert.ok(lines.includes(`${islandOf(a)}: dropped old copy sh0042old_20240131120000`), lines.join("\n"));
    assert.deepEqual(await schemasOf(a), [...others, "sh0001"].sort());
    assert.deepEqual(await schemasOf(b), ["sh0042"]);
    assert.deepEqual(await findLeftovers(settings, null), []);
    assert.deepEqual(await cleanup(settings, null, found), { dropped: [], failed: [] });
  });

  it("follows the format of the islands, even if names are long or need quotes", async () => {
    const { a } = await testIslands();
    const island = await createDatabase(a);
    const format = `Shard "%05d new ${"ü".repeat(17)}`;
    await island.withClient((client) => install(client, { schemaNameFmt: format }));
    const shard = format.replace("%05d", "00042");
    await createShard(island, 42, `CREATE TABLE ${ident(shard)}.t (id int)`);
    const { copyName } = await import("../../src/postgres/schema/copy-names.ts");
    const copy = copyName(shard, "old", new Date("2024-01-31T12:00:00Z"));
    assert.notEqual(copy, `${shard}old_20240131120000`);
    await createCopies(island, copy, "sh0042new");
    const settings = await settingsOf([island]);
    const found = await findLeftovers(settings, null);
    assert.deepEqual(brief(found), [["old copy", copy, false]]);
    await cleanup(settings, null, found);
    assert.deepEqual(await schemasOf(island), [shard, "sh0042new"]);
  });

  it("leaves alone a copy of a shard that is active nowhere, and every active schema", async () => {
    const [a, b] = await createIslands();
    await createCopies(a, "sh0009old_20240131120000", "sh0042old20240131120000");
    await b.rows("CREATE SCHEMA sh0009; SELECT microsharding.microsharding_ensure_inactive(42)");
    const settings = await settingsOf([a, b]);
    const found = await findLeftovers(settings, null);
    for (const { kept } of found) assert.match(kept!, new RegExp(`is inactive on ${islandOf(b)}.*only copy`));
    assert.equal(found.length, 2);
    assert.deepEqual(await cleanup(settings, null, found), { dropped: [], failed: [] });
    // If nothing of a shard exists anywhere, nothing can be lost beyond what was requested.
    await b.rows("DROP SCHEMA sh0009");
    assert.deepEqual(brief(await findLeftovers(settings, null)), [
      ["old copy", "sh0009old_20240131120000", false],
      ["old copy", "sh0042old20240131120000", true],
    ]);
  });

  it("leaves copies that are younger than requested, or of unknown age", async () => {
    const [a] = await createIslands();
    await createCopies(a, `sh0001old_${daysAgo(2)}`, `sh0001old${daysAgo(8)}`, "sh0001new");
    const found = await findLeftovers(await settingsOf([a]), null, { olderThanMs: 7 * 86_400_000 });
    assert.deepEqual(
      found.map(({ name, kept }) => [name.slice(0, 10), kept]),
      [
        ["sh0001new", "its age is not known"],
        ["sh0001old2", null],
        ["sh0001old_", "it is younger than --older-than"],
      ],
    );
  });

  it("keeps and names a copy that somebody has built on, and drops the others; debug views do not count", async () => {
    const [a, b] = await createIslands();
    await a.rows("CREATE TABLE sh0001.u (id int); SELECT microsharding.microsharding_migration_after()");
    // As if the end of a move had not reached its debug views.
    await a.rows(`BEGIN; SELECT microsharding.microsharding_ensure_inactive(1);
      ALTER SCHEMA sh0001 RENAME TO sh0001old_20240131120000; COMMIT`);
    await createShard(b, 1, "CREATE TABLE sh0001.t (id int)");
    await createCopies(a, "sh0042old_20240131120000", "sh0042old_20240131120001");
    await a.rows("CREATE VIEW public.report AS SELECT * FROM sh0042old_20240131120000.t");
    const settings = await settingsOf([a, b]);
    const { dropped, failed } = await cleanup(settings, null, await findLeftovers(settings, null));
    assert.deepEqual(
      dropped.map(({ name }) => name),
      ["sh0001old_20240131120000", "sh0042old_20240131120001"],
    );
    assert.deepEqual(
      failed.map(({ island, name }) => [island, name]),
      [[islandOf(a), "sh0042old_20240131120000"]],
    );
    assert.match(failed[0]!.reason, /view public\.report/);
    assert.deepEqual(await schemasOf(a), ["sh0042old_20240131120000"]);
    assert.equal((await a.rows("SELECT FROM public.report")).length, 1000);
    assert.equal((await a.rows("SELECT FROM pg_class WHERE relname = 'u'")).length, 0);
  });

  it("leaves alone a copy that somebody's subscription fills", async () => {
    const [a, b] = await createIslands();
    await createCopies(a, "sh0042new");
    await b.rows("CREATE SCHEMA sh0042new; CREATE TABLE sh0042new.t (generate_series int PRIMARY KEY)");
    await b.rows("CREATE PUBLICATION filling FOR TABLE sh0042new.t");
    const name = `filling_${a.name}`;
    await a.rows(
      `CREATE SUBSCRIPTION ${name} CONNECTION '${b.dsn}' PUBLICATION filling WITH (copy_data = false)`,
    );
    const found = await findLeftovers(await settingsOf([a, b]), null);
    assert.deepEqual(
      found.map(({ island, kept }) => [island, kept]),
      [
        [islandOf(a), `subscription ${name} writes into it`],
        [islandOf(b), null],
      ],
    );
  });

  it("gives up on a copy that is in use, says so, and continues with the others", async () => {
    const [a, b] = await createIslands();
    await createCopies(a, "sh0042old_20240131120000", "sh0042old_20240131120001");
    const settings = await settingsOf([a, b]);
    await a.withClient(async (reader) => {
      await reader.query("BEGIN; SELECT FROM sh0042old_20240131120000.t");
      const { dropped, failed } = await cleanup(settings, null, await findLeftovers(settings, null));
      assert.deepEqual(
        dropped.map(({ name }) => name),
        ["sh0042old_20240131120001"],
      );
      assert.match(failed[0]!.reason, /"sh0042old_20240131120000" on .* is in use \(.*\): run cleanup again/);
    });
  });
});

describe("cleanup of islands without the SQL API", () => {
  let bare: TestDatabase;
  before(async () => {
    bare = await createDatabase((await testIslands()).a);
  });

  it("finds nothing there, since there is no way to tell what a shard is", async () => {
    await createCopies(bare, "sh0042old_20240131120000", "sh0042new");
    assert.deepEqual(await findLeftovers(await settingsOf([bare]), null), []);
  });
});
