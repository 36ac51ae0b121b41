import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { ClientBase } from "pg";

import { relayCopy } from "../../../src/postgres/copy-relay.ts";
import { islandOf } from "../../../src/postgres/errors/origin.ts";
import { Islands } from "../../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../../src/postgres/islands/dsn.ts";
import { createDatabase, type TestDatabase, testIslands } from "../../support/index.ts";

let databases: TestDatabase[];
before(async () => {
  const { a, b } = await testIslands();
  databases = await Promise.all([createDatabase(a), createDatabase(b)]);
});

const ADDRESS = "SELECT inet_server_port() AS port";

describe("Islands, with more users than sessions", () => {
  it("lets callers that hold a session on two islands, in either direction, take another look, and all of them finish", async () => {
    const dsns = databases.map(({ dsn }) => parseDsn(dsn));
    const islands = new Islands(dsns, { pooled: 2, looking: 1 });
    const [here, there] = dsns.map(({ name }) => name) as [string, string];
    const ports = databases.map(({ server }) => server.port);
    let holding = 0;
    let most = 0;
    const portOf = async (client: ClientBase): Promise<number> =>
      (await client.query<{ port: number }>(ADDRESS)).rows[0]!.port;
    const work = (from: string, to: string): Promise<number[]> =>
      islands.withBoth(from, to, async (source, destination) => {
        most = Math.max(most, ++holding);
        const look = await islands.withLook(from, portOf);
        const seen = [await portOf(source), await portOf(destination), look];
        holding--;
        return seen;
      });
    const all = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? work(here, there) : work(there, here)));
    const seen = await Promise.all(all);
    seen.forEach((of, i) => {
      const [first, second] = i % 2 === 0 ? ports : ports.toReversed();
      assert.deepEqual(of, [first, second, first]);
    });
    assert.equal(most, 2);
    await islands.close();
  });
});

it("sessions of Islands see in a transaction what others commit, whatever the database's default is", async () => {
  const [database] = databases as [TestDatabase];
  await database.rows(
    `ALTER DATABASE "${database.name}" SET default_transaction_isolation = 'repeatable read'`,
  );
  const dsn = parseDsn(database.dsn);
  const islands = new Islands([dsn]);
  await islands.withClient(dsn.name, async (client) => {
    await client.query("BEGIN; SELECT FROM pg_class");
    await database.rows("CREATE TABLE made_meanwhile ()");
    const { rowCount } = await client.query("SELECT FROM pg_class WHERE relname = 'made_meanwhile'");
    assert.equal(rowCount, 1);
    await client.query("ROLLBACK");
  });
  await islands.close();
});

it("an error in the middle of a COPY between two islands says on which of them it occurred", async () => {
  const dsns = databases.map(({ dsn }) => parseDsn(dsn));
  const islands = new Islands(dsns);
  const [here, there] = dsns.map(({ name }) => name) as [string, string];
  const failing = (read: string): Promise<unknown> =>
    islands.withSessions(
      [here, there].map((name) => [name, { reuse: true }]),
      async ([from, to]) => {
        await to!.query("CREATE TEMP TABLE t (id int)");
        const rows = relayCopy(from!, `COPY (${read}) TO STDOUT`, to!, "COPY t FROM STDIN", () => undefined);
        return rows.catch((error: unknown) => islandOf(error));
      },
    );
  assert.equal(await failing("SELECT 1 / (3 - i) FROM generate_series(1, 3) i"), here);
  assert.equal(await failing("SELECT 'no number'"), there);
  await islands.close();
});
