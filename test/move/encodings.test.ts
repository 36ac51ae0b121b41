import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { CopyMethod } from "../../contract/move.ts";
import { install } from "../../src/postgres/api/install.ts";
import { ident } from "../../src/postgres/quote.ts";
import { createDatabase, expectNoLeftovers, type TestDatabase, testIslands } from "../support/index.ts";
import { createShard, createWorld, resultOf, untilPaused } from "../support/world.ts";

/** Encodings, each with the beginning of a name that it has, and a text that has no equal in UTF8. */
const ENCODINGS = { SQL_ASCII: ["t", "\\xff\\xfe"], WIN1252: ["größe", "\\x81"], LATIN1: ["größe", "\\xe4"] };

async function createIsland(
  encoding: string,
  server: Parameters<typeof createDatabase>[0],
): Promise<TestDatabase> {
  const database = await createDatabase(server, { encoding });
  await database.withClient((client) => install(client));
  return database;
}

describe("a shard in databases that are not UTF8", { concurrency: 2, timeout: 240_000 }, () => {
  for (const [encoding, [name, text]] of Object.entries(ENCODINGS)) {
    for (const copyMethod of ["direct", "tablesync"] satisfies CopyMethod[]) {
      it(`arrives byte for byte: ${encoding}, ${copyMethod}`, async () => {
        const { a, b } = await testIslands();
        const islands = { a: await createIsland(encoding, a), b: await createIsland(encoding, b) };
        const world = await createWorld({ islands });
        const tables = ["", "_enum", "_unlogged"].map((end) => `sh0042.${ident(`${name}${end}`)}`);
        const [binary, asText, unlogged] = tables;
        await createShard(
          world.a,
          42,
          `CREATE TYPE sh0042.mood AS ENUM ('sad');
           CREATE TABLE ${binary} (id int PRIMARY KEY, v text, a text[]);
           CREATE TABLE ${asText} (id int PRIMARY KEY, v text, m sh0042.mood[]);
           CREATE UNLOGGED TABLE ${unlogged} (id int, v text);
           ${tables.map((table) => `INSERT INTO ${table} (id, v) VALUES (1, E'${text}\\tü')`).join(";")}`,
        );
        await world.startWorker();
        const handle = await world.startMove({ copyMethod, wait: true });
        await untilPaused(handle);
        for (const table of tables) await world.a.rows(`INSERT INTO ${table} (id, v) VALUES (2, E'${text}')`);
        await handle.signal("confirm");
        const { leftover } = await resultOf(handle);
        for (const table of tables) {
          const sums = (database: TestDatabase, where: string): Promise<unknown> =>
            database.rows(`SELECT id, md5(v) FROM ${where} ORDER BY id`);
          const old = await sums(world.a, table.replace("sh0042", leftover!));
          assert.deepEqual(await sums(world.b, table), old);
          assert.equal((old as unknown[]).length, 2);
        }
        await expectNoLeftovers(world.a, world.b);
      });
    }
  }
});

it("names of objects in rows do not depend on the search_path of either database", async () => {
  const world = await createWorld();
  const { a, b } = world;
  for (const database of [a, b]) await database.rows("CREATE TABLE public.named ()");
  await createShard(
    a,
    42,
    `CREATE TABLE sh0042.t (id int PRIMARY KEY, r regclass); CREATE UNLOGGED TABLE sh0042.u (r regclass);
     INSERT INTO sh0042.t VALUES (1, 'public.named'); INSERT INTO sh0042.u VALUES ('public.named')`,
  );
  await a.rows(`ALTER DATABASE ${ident(a.name)} SET search_path = public`);
  await b.rows(`ALTER DATABASE ${ident(b.name)} SET search_path = pg_catalog`);
  await world.startWorker();
  await resultOf(await world.startMove());
  for (const table of ["t", "u"])
    assert.deepEqual(await b.rows(`SELECT r = 'public.named'::regclass AS same FROM sh0042.${table}`), [
      { same: true },
    ]);
});
