import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";

import { Client } from "pg";

import { serverUser } from "../../src/machine/server-user.ts";
import { MAJORS, type PostgresServer, startPostgres, startReplica } from "../../src/sandbox/index.ts";
import { waitFor } from "../support/index.ts";
import { without } from "../support/versions.ts";

const servers: PostgresServer[] = [];
after(() => Promise.all(servers.map((server) => server.remove())));

async function start(options: Parameters<typeof startPostgres>[0]): Promise<PostgresServer> {
  const server = await startPostgres(options);
  servers.push(server);
  return server;
}

async function value(server: PostgresServer, sql: string, database?: string): Promise<string> {
  return server.withClient(async (client) => {
    const { rows } = await client.query<{ v: unknown }>(`SELECT (${sql})::text AS v`);
    return String(rows[0]?.v);
  }, database);
}

/** What \`ps\` shows for all processes; small containers do not have that program. */
function commandLines(): string {
  if (!existsSync("/proc/self")) return execFileSync("ps", ["-axo", "args"], { encoding: "utf8" });
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(readCommand).join("\n");
}

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // It ended while we looked.
  }
}

for (const version of MAJORS) {
  const skip = without(version);
  test(
    `PostgreSQL ${version} starts with logical replication, a subscription between two of its databases works`,
    { skip },
    async () => {
      const server = await start({ version });
      assert.match(await value(server, "current_setting('server_version')"), new RegExp(`^${version}`));
      assert.equal(await value(server, "current_setting('wal_level')"), "logical");
      await server.withClient((client) => client.query("CREATE DATABASE other"));
      await server.withClient(async (client) => {
        await client.query("CREATE TABLE note (id int PRIMARY KEY)");
        await client.query("INSERT INTO note VALUES (1)");
        await client.query("CREATE PUBLICATION p FOR TABLE note");
        await client.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
      });
      await server.withClient(async (client) => {
        await client.query("CREATE TABLE note (id int PRIMARY KEY)");
        await client.query(
          `CREATE SUBSCRIPTION s CONNECTION '${server.dsn()}' PUBLICATION p WITH (create_slot = false)`,
        );
      }, "other");
      await waitFor(async () => (await value(server, "SELECT count(*) FROM note", "other")) === "1", {
        what: "the row to arrive through the subscription",
      });
      await server.stop();
    },
  );
}

test("a server asks for its password, and two servers have different ones", async () => {
  const [one, other] = [await start({}), await start({})];
  assert.notEqual(one.password, other.password);
  const client = new Client({ connectionString: one.dsn().replace(one.password, other.password) });
  await assert.rejects(client.connect(), { code: "28P01" });
});

test("two servers of one version are distinguished by their system identifiers", async () => {
  const identifier = "SELECT system_identifier FROM pg_control_system()";
  const [one, other] = [await start({}), await start({})];
  assert.notEqual(await value(one, identifier), await value(other, identifier));
});

test("a server listens on 127.0.0.1 only and never runs as root", async () => {
  const server = await start({});
  assert.equal(await value(server, "current_setting('listen_addresses')"), "127.0.0.1");
  assert.equal(await value(server, "current_setting('unix_socket_directories')"), "");
  assert.equal(statSync(server.dataDir).uid, serverUser()?.uid ?? process.getuid?.());
  assert.notEqual(statSync(server.dataDir).uid, 0);
});

test("a server that was killed starts again on its port with everything that was committed", async () => {
  const server = await start({ durable: true });
  const { port } = server;
  await server.withClient((client) => client.query("CREATE TABLE note AS SELECT 7 AS id"));
  await server.kill();
  assert.equal(server.running(), false);
  await server.start();
  assert.equal(server.port, port);
  assert.equal(await value(server, "SELECT id FROM note"), "7");
});

test("reload changes a setting of the running server, and ALTER SYSTEM wins over it", async () => {
  const server = await start({});
  const pid = server.pid();
  await server.reload({ work_mem: "9MB" });
  assert.equal(await value(server, "current_setting('work_mem')"), "9MB");
  await server.withClient((client) => client.query("ALTER SYSTEM SET work_mem = '11MB'"));
  await server.reload({});
  assert.equal(await value(server, "current_setting('work_mem')"), "11MB");
  assert.equal(server.pid(), pid);
});

test("a replica streams from its primary, where it is known by its name", async () => {
  const primary = await start({ version: 18 });
  const replica = await startReplica(primary, { name: "reader" });
  servers.push(replica);
  await primary.withClient((client) => client.query("CREATE TABLE note AS SELECT 42 AS id"));
  await waitFor(() => value(replica, "SELECT id FROM note").catch(() => null), {
    what: "the row on the replica",
  });
  assert.equal(await value(replica, "pg_is_in_recovery()"), "true");
  assert.equal(await value(primary, "SELECT application_name FROM pg_stat_replication"), "reader");
});

test("a server in a folder of the caller keeps its data and its password", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shardferry-kept-"));
  try {
    const first = await start({ keepIn: folder });
    await first.withClient((client) => client.query("CREATE TABLE note AS SELECT 3 AS id"));
    await first.remove();
    const second = await start({ keepIn: folder });
    assert.equal(second.password, first.password);
    assert.equal(await value(second, "SELECT id FROM note"), "3");
    await second.remove();
    assert.ok(existsSync(join(folder, "data", "PG_VERSION")));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a removed server leaves neither a process nor a folder, and its password was never in a command line", async () => {
  const server = await start({});
  const pid = server.pid();
  assert.ok(!commandLines().includes(server.password));
  assert.ok(!readFileSync(server.logFile, "utf8").includes(server.password));
  await server.remove();
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  assert.equal(existsSync(dirname(server.dataDir)), false);
});
