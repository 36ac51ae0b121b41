import assert from "node:assert/strict";
import { chmodSync, chownSync, copyFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { install } from "../../src/postgres/api/install.ts";
import { Islands } from "../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { ident, literal } from "../../src/postgres/quote.ts";
import { ignoresOptions } from "../../src/postgres/replication/conninfo.ts";
import { type CheckContext, readServer } from "../../src/preflight/check.ts";
import { tablesyncLasts } from "../../src/preflight/tablesync-lasts.ts";
import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";
import { createShard } from "../support/world.ts";
import { inspected } from "./inspected.ts";

const TLS = fileURLToPath(new URL("../config/tls", import.meta.url));

describe("the options of a subscription", { timeout: 120_000 }, () => {
  /** Versions that were tried: with an option that no server knows, the subscription is created or not. */
  const TRIED: readonly (readonly [number, boolean])[] = [
    [140020, false],
    [150015, true],
    [150016, false],
    [160011, true],
    [160012, false],
    [170007, true],
    [170008, false],
    [180001, true],
    [180002, false],
  ];
  it("are ignored by destinations of some versions", () => {
    for (const [version, ignored] of TRIED) assert.equal(ignoresOptions(version), ignored, String(version));
  });

  it("are sent by a server exactly if its version says so", async () => {
    const { a, b } = await testIslands();
    const [source, destination] = [await createDatabase(a), await createDatabase(b)];
    await destination.withClient(async (client) => {
      const { versionNumber } = await readServer(client, "b");
      const create = client.query(
        `CREATE SUBSCRIPTION x CONNECTION ${literal(`${source.dsn}?options=-c%20no_such_setting%3D1`)} PUBLICATION x
         WITH (create_slot = false, slot_name = NONE, enabled = false)`,
      );
      if (ignoresOptions(versionNumber)) await create;
      else await assert.rejects(create, /no_such_setting/);
    });
  });

  it("that are ignored leave tablesync the timeouts of the source's role, which is refused", async () => {
    const { a, b } = await testIslands();
    const [source, destination] = [await createDatabase(a), await createDatabase(b)];
    await source.rows(`ALTER DATABASE ${ident(source.name)} SET statement_timeout = '3s'`);
    const dsns = [source, destination].map(({ dsn }) => parseDsn(dsn, {}));
    const [from, to] = dsns.map(({ name }) => name) as [string, string];
    const islands = new Islands(dsns);
    const problems = await islands.withBoth(from, to, async (one, two) => {
      const context = {
        islands,
        from: await readServer(one, from),
        to: { ...(await readServer(two, to)), versionNumber: 170007 },
      } as unknown as CheckContext;
      return tablesyncLasts(context);
    });
    assert.equal(problems.length, 1);
    assert.match(problems[0]!, /has statement_timeout = 3000 ms for role postgres, .*--copy-method=direct/);
    const [remedy] = /ALTER ROLE .* SET statement_timeout = 0/.exec(problems[0]!)!;
    await source.rows(remedy);
    await islands.close();
    const later = new Islands(dsns);
    const none = await later.withBoth(from, to, async (one, two) =>
      tablesyncLasts({
        islands: later,
        from: await readServer(one, from),
        to: { ...(await readServer(two, to)), versionNumber: 170007 },
      } as unknown as CheckContext),
    );
    assert.deepEqual(none, []);
    await later.close();
  });
});

/** Puts a file into the folder of a server, for its eyes only. */
function give(server: PostgresServer, name: string): string {
  const file = join(server.dataDir, name);
  copyFileSync(join(TLS, name), file);
  const { uid, gid } = statSync(server.dataDir);
  chownSync(file, uid, gid);
  chmodSync(file, 0o600);
  return file;
}

it("the certificates of a subscription are those that the DSN names for the destination's server", async () => {
  const [from, to] = await Promise.all([startPostgres({ version: 17 }), startPostgres({ version: 17 })]);
  for (const name of ["server.crt", "server.key"]) give(from, name);
  from.settings = { ...from.settings, ssl: "on" };
  await from.restart();
  const [a, b] = [await createDatabase(from), await createDatabase(to)];
  for (const database of [a, b]) await database.withClient((client) => install(client));
  await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
  // A path that leads somewhere only from the folder of this process.
  const ours = relative(process.cwd(), join(TLS, "ca.crt"));
  const dsn = `${a.dsn}?sslmode=verify-ca&sslrootcert=${ours}`;
  const at = (query: string): Pick<TestDatabase, "dsn"> => ({ dsn: dsn + query });
  const { problems } = await inspected(at(""), b);
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(problems[0]!, /cannot connect to .*root certificate file .*subscription_sslrootcert/s);
  // All of them: without one, libpq looks in the home of the server, which may be that of this process.
  const theirs = { sslrootcert: "ca.crt", sslcert: "server.crt", sslkey: "server.key" };
  const named = Object.entries(theirs).map(
    ([keyword, name]) => `&subscription_${keyword}=${encodeURIComponent(give(to, name))}`,
  );
  assert.deepEqual((await inspected(at(named.join("")), b)).problems, []);
});
