import { randomBytes } from "node:crypto";
import { after } from "node:test";

import pg, { Client } from "pg";

import { ident } from "../../src/postgres/quote.ts";
import type { TestServer } from "./servers.ts";
import { waitFor } from "./wait.ts";

/** A throw-away database. */
export interface TestDatabase {
  server: TestServer;
  name: string;
  dsn: string;
  /** Runs a query in any session, which it must leave unchanged, and returns its rows. */
  rows<Row extends object = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
  withClient<T>(work: (client: Client) => Promise<T>): Promise<T>;
  drop(): Promise<void>;
}

/** Runs a function with a connection, and always closes it. */
export async function withClient<T>(dsn: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: dsn });
  // Some tests stop the server during an idle connection.
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * How long a session of `rows` is kept for the next poll of a test that waits: opening one for each poll took 5 % of all
 * processor time of the tests.
 */
const KEPT_MS = 100;

const created = new Set<TestDatabase>();
after(async () => {
  for (const database of created) await database.drop();
});

/**
 * Creates a database that is dropped at the end of the test file, together with any remaining replication. With
 * `template`, it is a copy of that database, to which nobody may be connected.
 */
export async function createDatabase(
  server: TestServer,
  options: { name?: string; template?: string; encoding?: string } = {},
): Promise<TestDatabase> {
  const name = options.name ?? `test_${randomBytes(6).toString("hex")}`;
  const dsn = server.dsn(name);
  await withClient(server.dsn(), (client) =>
    client.query(
      `CREATE DATABASE ${ident(name)} TEMPLATE ${ident(options.template ?? "template0")}` +
        (options.encoding ? ` ENCODING '${options.encoding}' LOCALE 'C'` : ""),
    ),
  );
  const pool = new pg.Pool({ connectionString: dsn, idleTimeoutMillis: KEPT_MS, max: Infinity });
  // Some tests stop the server during an idle session.
  pool.on("error", () => undefined);
  const database: TestDatabase = {
    server,
    name,
    dsn,
    withClient: (work) => withClient(dsn, work),
    rows: async <Row extends object>(sql: string, values: unknown[] = []) =>
      (await pool.query<Row>(sql, values)).rows,
    drop: async () => {
      created.delete(database);
      // This waits for anything still running, which the drop of the database ends.
      const ended = pool.end();
      await dropDatabase(database);
      await ended;
    },
  };
  created.add(database);
  return database;
}

/** Drops everything that prevents the drop of a database, then the database. */
async function dropDatabase({ server, name, dsn }: TestDatabase): Promise<void> {
  const exists = await withClient(server.dsn(), (client) =>
    client.query("SELECT FROM pg_database WHERE datname = $1", [name]),
  );
  if (exists.rowCount === 0) return;
  await withClient(dsn, dropReplication);
  await withClient(server.dsn(), (client) => client.query(`DROP DATABASE ${ident(name)} WITH (FORCE)`));
}

async function dropReplication(client: Client): Promise<void> {
  const names = async (sql: string): Promise<string[]> =>
    (await client.query<{ name: string }>(sql)).rows.map(({ name }) => name);
  const here = "database = current_database()";
  for (const gid of await names(`SELECT gid AS name FROM pg_prepared_xacts WHERE ${here}`)) {
    await client.query(`ROLLBACK PREPARED ${client.escapeLiteral(gid)}`);
  }
  const ours = "subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
  for (const name of await names(`SELECT subname AS name FROM pg_subscription WHERE ${ours}`)) {
    await client.query(`ALTER SUBSCRIPTION ${ident(name)} DISABLE`);
    await client.query(`ALTER SUBSCRIPTION ${ident(name)} SET (slot_name = NONE)`);
    await client.query(`DROP SUBSCRIPTION ${ident(name)}`);
  }
  const slots = `SELECT slot_name AS name FROM pg_replication_slots WHERE ${here}`;
  await waitFor(
    async () => {
      await client.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE ${here}`);
      await client.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                          WHERE ${here} AND NOT active`);
      return (await names(slots)).length === 0;
    },
    { what: `the slots of ${client.database} to be dropped` },
  );
}
