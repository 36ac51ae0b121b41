import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { type Major, type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { compareTable } from "../../src/verify/compare-table.ts";
import type { SidesOfTable } from "../../src/verify/sides.ts";
import { createDatabase, type TestDatabase } from "../support/index.ts";
import { without } from "../support/versions.ts";
import { withBothSides } from "./both-sides.ts";
import { PLANTED, type Planted, TYPES } from "./planted.ts";

const servers = new Map<Major, Promise<PostgresServer>>();
const serverOf = (version: Major): Promise<PostgresServer> => {
  const server = servers.get(version) ?? startPostgres({ version });
  servers.set(version, server);
  return server;
};
after(async () => {
  for (const server of servers.values()) await (await server).remove();
});

const tableOf = (i: number): string => `t${String(i).padStart(3, "0")}`;
const watch = { before: () => Promise.resolve(), compared: () => undefined };
const differencesOf = async (sides: SidesOfTable) => (await compareTable(sides, watch)).differences;

/** A row with the value, between two others, in a table with a key and in one without. */
async function fill(database: TestDatabase, settings: string): Promise<void> {
  await database.withClient(async (client) => {
    await client.query(TYPES);
    await client.query(settings);
    for (const [i, { type, value }] of PLANTED.entries())
      await client.query(
        `CREATE TABLE s.${tableOf(i)} (id int PRIMARY KEY, v ${type});
         INSERT INTO s.${tableOf(i)} VALUES (1, ${value}), (2, ${value}), (3, ${value});
         CREATE TABLE s.${tableOf(i)}_keyless AS TABLE s.${tableOf(i)}`,
      );
  });
}

describe("the exact form of a value", () => {
  for (const [from, to] of [
    [14, 18],
    [15, 17],
    [18, 15],
    [19, 14],
  ] as const)
    it(
      `finds the smallest difference of every type, and no other one, between ${from} and ${to}`,
      { skip: without(from, to) },
      async () => {
        const [a, b] = await Promise.all([serverOf(from), serverOf(to)]);
        const [source, destination] = await Promise.all([createDatabase(a), createDatabase(b)]);
        await destination.rows(
          `ALTER DATABASE ${destination.name} SET datestyle = 'SQL, DMY';
         ALTER DATABASE ${destination.name} SET timezone = 'Asia/Kolkata';
         ALTER DATABASE ${destination.name} SET extra_float_digits = 0;
         ALTER DATABASE ${destination.name} SET bytea_output = 'escape'`,
        );
        // OIDs that differ from those of the source.
        await destination.rows("CREATE TYPE public.other AS ENUM ('a', 'b', 'c')");
        await Promise.all([
          fill(source, "SELECT"),
          fill(destination, "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'"),
        ]);
        await source.rows("SET timezone = 'UTC'");

        await withBothSides(source, destination, "s", async (all) => {
          assert.equal(all.size, 2 * PLANTED.length);
          for (const [name, sides] of all) assert.deepEqual(await differencesOf(sides), [], name);
        });
        for (const [i, { other }] of PLANTED.entries())
          for (const table of [tableOf(i), `${tableOf(i)}_keyless`])
            await destination.withClient((client) =>
              client.query(
                `SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; UPDATE s.${table} SET v = ${other} WHERE id = 2`,
              ),
            );
        await withBothSides(source, destination, "s", async (all) => {
          for (const [i, planted] of PLANTED.entries()) {
            const what = describePlanted(planted);
            const [keyed, ...more] = await differencesOf(all.get(tableOf(i))!);
            assert.equal(more.length, 0, what);
            assert.equal(keyed?.key, "id = 2", what);
            assert.equal(keyed.missing, "none", what);
            assert.deepEqual(
              keyed.columns.map(({ name }) => name),
              ["v"],
              what,
            );
            assert.notEqual(keyed.columns[0]!.source, keyed.columns[0]!.destination, what);

            const keyless = await differencesOf(all.get(`${tableOf(i)}_keyless`)!);
            assert.deepEqual(keyless.map(({ missing }) => missing).sort(), ["destination", "source"], what);
          }
        });
      },
    );
});

const describePlanted = ({ type, value, other }: Planted): string =>
  `${type}: ${value.slice(0, 40)} and ${other.slice(0, 40)}`;
