import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { UsageError } from "../../../src/errors.ts";
import {
  discoverIslands,
  resolveIsland,
  UnreachableError,
  withIslands,
} from "../../../src/postgres/islands/discover.ts";
import { type Dsn, parseDsn } from "../../../src/postgres/islands/dsn.ts";
import { type PostgresServer, startPostgres, startReplica } from "../../../src/sandbox/index.ts";
import { createDatabase, testIslands } from "../../support/index.ts";

const names = (dsns: readonly Dsn[]): string[] => dsns.map(({ name }) => name);

describe("discoverIslands", () => {
  let primary: PostgresServer;
  let replica: PostgresServer;
  before(async () => {
    primary = await startPostgres();
    replica = await startReplica(primary);
  });

  it("drops replicas and second names of the same database, and keeps the order", async () => {
    const { a, b } = await testIslands();
    const twin = await createDatabase(a);
    const dsns = [
      replica.dsn(),
      b.dsn(),
      b.dsn().replace("127.0.0.1", "localhost"),
      a.dsn(),
      twin.dsn,
      primary.dsn(),
    ].map((text) => parseDsn(text, {}));
    assert.deepEqual(names(await discoverIslands(dsns)), names([dsns[1]!, dsns[3]!, dsns[4]!, dsns[5]!]));
  });

  it("keeps a promoted replica apart from its former primary, whose system identifier it shares", async () => {
    const promoted = await startReplica(primary);
    await promoted.withClient((client) => client.query("SELECT pg_promote()"));
    const dsns = [primary, promoted].map((server) => parseDsn(server.dsn(), {}));
    assert.deepEqual(names(await discoverIslands(dsns)), names(dsns));
  });

  it("refuses a list that contains only replicas", async () => {
    await assert.rejects(discoverIslands([parseDsn(replica.dsn(), {})]), /No primary among the DSNs/);
  });

  it("names all databases that cannot be reached, with the cause and without the password", async () => {
    const good = parseDsn(primary.dsn(), {});
    const secret = "never-to-be-seen";
    const at = (change: Partial<Dsn>): Dsn => ({ ...good, ...change });
    const broken = [
      at({ password: secret, name: "wrong-password/x" }),
      at({ database: "missing", name: "h/missing" }),
      at({ port: 1, name: "h:1/x" }),
      at({ host: "no-such-host.invalid", name: "no-such-host.invalid/x" }),
      at({ password: undefined, name: "no-password/x" }),
    ];
    await assert.rejects(discoverIslands([good, ...broken]), (error: Error) => {
      assert.ok(error instanceof UnreachableError);
      assert.doesNotMatch(error.message, new RegExp(`${secret}|${good.password}`));
      const lines = error.message.split("\n");
      assert.equal(lines.length, broken.length);
      for (const [i, words] of [
        /password authentication failed/,
        /"missing" does not exist/,
        /connection refused/,
        /cannot be resolved/,
        /asks for a password/,
      ].entries()) {
        assert.ok(lines[i]!.startsWith(`Cannot reach ${broken[i]!.name}: `), lines[i]);
        assert.match(lines[i]!, words);
      }
      return true;
    });
  });

  it("lends a session on each island and closes it afterwards", async () => {
    const dsn = parseDsn(primary.dsn(), {});
    const pid = await withIslands([dsn], async ([island]) => {
      const { rows } = await island!.client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      return rows[0]!.pid;
    });
    const { rowCount } = await primary.withClient((client) =>
      client.query("SELECT FROM pg_stat_activity WHERE pid = $1", [pid]),
    );
    assert.equal(rowCount, 0);
  });
});

describe("resolveIsland", () => {
  const env = { PGUSER: "joe", PGDATABASE: "main", HOME: "/nowhere" };
  const islands = ["db1", "db10", "db2:6432", "db2:6433", "db3/a", "db3/b", "[::1]:6432/x"].map((text) => {
    const dsn = parseDsn(text, env);
    return { name: dsn.name, dsn };
  });
  const resolve = (text: string): string => resolveIsland(text, islands, env).name;

  it("finds an island by a DSN, its name, host:port, host, or a prefix that matches no other", () => {
    for (const [text, name] of [
      ["postgresql://ann:secret@db2:6433/main", "db2:6433/main"],
      ["db1/main", "db1/main"],
      ["db1", "db1/main"],
      ["DB1", "db1/main"],
      ["db1:5432", "db1/main"],
      ["db1:5432/main", "db1/main"],
      ["db10", "db10/main"],
      ["db2:6432", "db2:6432/main"],
      ["db3/b", "db3/b"],
      ["[::1]", "[::1]:6432/x"],
      ["db10/m", "db10/main"],
    ] as const) {
      assert.equal(resolve(text), name, text);
    }
  });

  it("names the candidates when none or several match", () => {
    assert.throws(() => resolve("db2"), /matches several islands: db2:6432\/main, db2:6433\/main/);
    assert.throws(() => resolve("db3"), /matches several islands: db3\/a, db3\/b/);
    assert.throws(() => resolve("db"), UsageError);
    assert.throws(() => resolve("nix"), /No island matches "nix". The islands are: db1\/main, db10\/main, /);
    assert.throws(() => resolve(""), UsageError);
    assert.throws(() => resolve("postgresql://ann:secret@nix/main"), /^UsageError: (?!.*secret).*nix/);
  });

  it("knows an island by the DSNs that were filtered out as duplicates", () => {
    const dsn = parseDsn("db4", env);
    const one = { name: dsn.name, dsn, duplicates: [parseDsn("alias", env)] };
    assert.equal(resolveIsland("alias", [...islands, one], env), one);
  });
});
