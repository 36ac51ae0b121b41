import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { after, before, test } from "node:test";

import { Client } from "pg";

import { relayCopy } from "../../src/postgres/copy-relay.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";

let source: TestDatabase;
let destination: TestDatabase;
const opened: Client[] = [];

before(async () => {
  const { a, b } = await testIslands();
  [source, destination] = await Promise.all([createDatabase(a), createDatabase(b)]);
});
// Before the databases are dropped, to which nobody may be connected then.
after(() => Promise.all(opened.map((client) => client.end())));

/** Two sessions, with a table of the given rows on the source and an empty one on the destination. */
async function sessions(rows: string, table = "id int, body text"): Promise<[Client, Client]> {
  const clients = [source, destination].map(({ dsn }) => new Client({ connectionString: dsn }));
  for (const client of clients) {
    client.on("error", () => undefined);
    await client.connect();
    opened.push(client);
    await client.query(`DROP TABLE IF EXISTS t; CREATE TABLE t (${table})`);
  }
  await clients[0]!.query(`INSERT INTO t ${rows}`);
  return clients as [Client, Client];
}

const relay = (from: Client, to: Client, options = "FORMAT binary", query = "t"): Promise<number> =>
  relayCopy(
    from,
    `COPY ${query} TO STDOUT (${options})`,
    to,
    `COPY t FROM STDIN (${options})`,
    () => undefined,
  );

const contents = async (client: Client): Promise<unknown> =>
  (await client.query("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY id)) FROM t")).rows[0];

const isAlive = async (client: Client): Promise<boolean> =>
  client.query("SELECT").then(
    () => true,
    () => false,
  );

for (const options of ["FORMAT binary", "FORMAT text"]) {
  for (const [what, rows] of [
    ["no row at all", "SELECT 1, 'x' WHERE false"],
    ["one row", "SELECT 1, 'x'"],
    [
      "rows of all lengths",
      "SELECT i, repeat(chr(33 + i % 90), i * 7919 % 400) FROM generate_series(1, 20000) i",
    ],
    ["rows larger than any buffer", "SELECT i, repeat(md5(i::text), 100000) FROM generate_series(1, 5) i"],
  ] as const) {
    test(`${what} arrive as they are (${options})`, async () => {
      const [from, to] = await sessions(rows);
      const { count } = (await contents(from)) as { count: string };
      assert.equal(await relay(from, to, options), Number(count));
      assert.deepEqual(await contents(to), await contents(from));
      // Both sessions are as usable as before.
      assert.equal(await relay(from, to, options), Number(count));
    });
  }
}

test("bytes and rows are reported while they pass", async () => {
  const [from, to] = await sessions("SELECT i, md5(i::text) FROM generate_series(1, 50000) i");
  const seen = { bytes: 0, rows: 0, calls: 0 };
  await relayCopy(from, "COPY t TO STDOUT", to, "COPY t FROM STDIN", (bytes, rows) => {
    seen.bytes += bytes;
    seen.rows += rows;
    seen.calls++;
  });
  assert.equal(seen.rows, 50_000);
  assert.ok(seen.bytes > 50_000 * 37 && seen.calls > 5);
});

test("an error of the destination in the middle is the error, and ends both sessions", async () => {
  const [from, to] = await sessions("SELECT i, md5(i::text) FROM generate_series(1, 500000) i");
  await to.query("ALTER TABLE t ADD CHECK (id < 200000)");
  await assert.rejects(relay(from, to), /violates check constraint/);
  // One would continue sending, and the other would take the next statement for the rest of a row.
  assert.deepEqual(await Promise.all([isAlive(from), isAlive(to)]), [false, false]);
});

test("a destination that refuses the COPY from the start is the error", async () => {
  const [from, to] = await sessions("SELECT i, md5(i::text) FROM generate_series(1, 500000) i");
  await to.query("DROP TABLE t");
  await assert.rejects(relay(from, to), /relation "t" does not exist/);
});

test("an error of the source in the middle is the error, and both sessions stay open", async () => {
  const [from, to] = await sessions("SELECT i, md5(i::text) FROM generate_series(1, 100000) i");
  const failing = "(SELECT 1 / (id - 90000), body FROM t ORDER BY id)";
  await assert.rejects(relay(from, to, "FORMAT binary", failing), /division by zero/);
  assert.deepEqual(await Promise.all([isAlive(from), isAlive(to)]), [true, true]);
  assert.equal((await to.query("SELECT FROM t")).rowCount, 0);
});

for (const side of ["source", "destination"] as const) {
  test(`the end of the ${side}'s backend ends the copy`, async () => {
    const [from, to] = await sessions("SELECT i, md5(i::text) FROM generate_series(1, 100000) i");
    const slow = "(SELECT id, body FROM t, pg_sleep(CASE WHEN id = 50000 THEN 60 ELSE 0 END) ORDER BY id)";
    const [client, database] = side === "source" ? [from, source] : [to, destination];
    const { pid } = (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0]!;
    const copying = relay(from, to, "FORMAT binary", slow);
    copying.catch(() => undefined);
    await database.rows("SELECT pg_terminate_backend($1)", [pid]);
    await assert.rejects(copying, /terminat/);
    // The query would keep sleeping, and dropping its table or creating a slot on that server would wait for it.
    await source.rows(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(CASE%' AND pid <> pg_backend_pid()",
    );
  });
}

test("a source waits for a slow destination instead of filling our memory", async () => {
  const [from, to] = await sessions("SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 40000) i");
  const blocker = new Client({ connectionString: destination.dsn });
  await blocker.connect();
  await blocker.query("BEGIN; LOCK TABLE t");
  let passed = 0;
  const copying = relayCopy(from, "COPY t TO STDOUT", to, "COPY t FROM STDIN", (bytes) => (passed += bytes));
  const { stream } = (to as unknown as { connection: { stream: Duplex } }).connection;
  let before = -1;
  for (; passed !== before; await new Promise((resolve) => setTimeout(resolve, 300))) before = passed;
  assert.ok(stream.writableLength < 3 << 20, `${stream.writableLength} bytes wait in this process`);
  assert.ok(passed < 38e6, "the source sent everything");
  await blocker.query("COMMIT");
  await blocker.end();
  assert.equal(await copying, 40_000);
});

for (const [side, dead] of [
  ["source", 0],
  ["destination", 1],
] as const) {
  test(`a session on the ${side} that has already ended fails with the error of its connection`, async () => {
    const both = await sessions("SELECT 1, 'x'");
    const ended = new Promise((resolve) => both[dead].once("end", () => resolve(undefined)));
    await both[dead].query("SELECT pg_terminate_backend(pg_backend_pid())").catch(() => undefined);
    await ended;
    await assert.rejects(relay(...both), /not queryable|Connection terminated|closed/);
  });
}
