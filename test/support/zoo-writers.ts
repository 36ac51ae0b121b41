import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "pg";

import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { ident } from "../../src/postgres/quote.ts";

/** The statements of an application of the zoo; `:n` is a growing number, `:r` a random one from 1 to 20. */
const STATEMENTS = [
  // Rows with TOAST, arrays of enums, composites; the second statement does not change the large column.
  `INSERT INTO person (name, essay, home) SELECT 'w:n', string_agg(md5(i::text || ':n'), ''), ROW('s', :n, '{}')::address FROM generate_series(1, 200) i`,
  `UPDATE person SET feels = 'happy', nick = 'w:n' WHERE id = :r`,
  `UPDATE person SET essay = repeat(md5(':n'), 300) WHERE id = :r + 20`,
  `DELETE FROM person WHERE name LIKE 'w%' AND id % 3 = 0`,
  // If published without an identity, these would fail at once.
  `INSERT INTO keyless (a, b) VALUES (:r, 'w:n'), (:r, 'w:n'), (NULL, NULL)`,
  `UPDATE keyless SET b = 'u:n' WHERE a = :r % 10`,
  `DELETE FROM keyless WHERE ctid IN (SELECT ctid FROM keyless LIMIT 1)`,
  `UPDATE keyless_json SET j = '{"n": :n}' WHERE a = :r`,
  `INSERT INTO keyless_json (a, d) VALUES (:n, '2021-02-03')`,
  `DELETE FROM keyless_inexact WHERE ctid IN (SELECT max(ctid) FROM keyless_inexact); INSERT INTO keyless_inexact VALUES (:n.0, '-0', 'w', '1 day'), (:n.00, '0', 'W', '24 hours')`,
  `UPDATE keyless_unique SET j = '[:n]' WHERE a = :r`,
  `UPDATE identity_nothing SET b = 'w:n'`,
  `UPDATE full_json SET j = '{"n": :n}'`,
  `UPDATE full_with_key SET j = '{"n": :n}' WHERE a = :r`,
  `UPDATE identity_index SET b = 'w:n' WHERE a = :r`,
  `UPDATE deferrable_key SET a = 21 - a`,
  `INSERT INTO no_columns DEFAULT VALUES`,
  `DELETE FROM no_columns`,
  `UPDATE all_kinds SET j = '{"n" :  :n}', cash = '-:n.25', num = :n / 7.0, span = '-:n days 3 hours', t = E'\\\\N\\t:n' WHERE id = 4`,
  `UPDATE coded SET id = -id WHERE id = 1`,
  // Rows that go to a partition, move to another one, and are deleted.
  `INSERT INTO event (at, kind, body) SELECT date '2020-01-01' + (:n % 1400), chr(97 + :r % 4), 'w:n'`,
  `UPDATE event SET at = at + 200 WHERE body = 'w' || (:n - 30)`,
  `DELETE FROM event WHERE body LIKE 'w%' AND id % 2 = 0`,
  `UPDATE keyless_parts SET a = a + 1 WHERE a = :r`,
  `INSERT INTO keyless_parts VALUES (:n % 50, 'happy')`,
  // Truncations are replicated.
  `TRUNCATE keyless_parts`,
  `TRUNCATE keyless, no_columns`,
  `TRUNCATE note; INSERT INTO note VALUES (1, NULL, NULL, NULL, 'w:n')`,
  `TRUNCATE ONLY ruled_log, granted_by_default RESTART IDENTITY; INSERT INTO granted_by_default DEFAULT VALUES`,
  // Tables without WAL.
  `INSERT INTO unlogged_parent VALUES (:n + 100, 'w:n'); INSERT INTO unlogged_child (parent) VALUES (:n + 100)`,
  `UPDATE unlogged_parent SET t = 'w:n' WHERE id = :r`,
  // Each firing leaves a row in a table that is itself replicated.
  `INSERT INTO triggered VALUES (:n + 100, 'w'); UPDATE triggered SET t = 'w:n' WHERE id = :r`,
  `INSERT INTO ruled VALUES (:n + 100, 'w'); UPDATE ruled SET t = 'w:n' WHERE id = :r`,
  // Row security and foreign keys.
  `UPDATE guarded SET t = 'w:n' WHERE id = :r`,
  `UPDATE guarded_keyless SET b = 'w:n' WHERE a = :r`,
  `INSERT INTO team (id, name, low, high) VALUES (:n + 1000, 'w:n', :n + 1000, :n + 1001); INSERT INTO member (team, low, high) VALUES (:n + 1000, :n + 1000, :n + 1001)`,
  `UPDATE team SET id = -id WHERE id = :n + 980; DELETE FROM team WHERE id = -(:n + 960)`,
  `INSERT INTO ids (note) VALUES ('w:n')`,
  `UPDATE "select" SET "user" = 'w:n', "from" = -"from" WHERE abs("from") = :r`,
  `UPDATE "Upper Case.dots" SET "c""d" = 'w:n', "%I%s%%" = '%' WHERE "a b" = :r`,
  `INSERT INTO "quotes""in""it" ("a'b\\c") VALUES ('w:n')`,
  `UPDATE of_type SET zip = :n`,
  // One transaction, half of it rolled back.
  `BEGIN; INSERT INTO person (name) VALUES ('kept:n'); SAVEPOINT s; DELETE FROM person WHERE id = 1; ROLLBACK TO s; DELETE FROM keyless WHERE a = 3; COMMIT`,
  `BEGIN; DELETE FROM guarded; ROLLBACK`,
];

/** SQLSTATEs that mean that the shard has moved away. */
const GONE = [SQLSTATE.undefinedTable, SQLSTATE.invalidSchemaName, SQLSTATE.undefinedFunction];

/** Runs something while there are writes to the zoo, and asserts that none of them failed. */
export async function whileWriting<T>(
  dsn: string,
  schema: string,
  work: (writers: ZooWriters) => Promise<T>,
): Promise<T> {
  const writers = new ZooWriters(dsn, schema);
  let result: T;
  try {
    result = await work(writers);
  } finally {
    await writers.stop();
  }
  assert.deepEqual(writers.failures, []);
  assert.ok(writers.writes > 50, `only ${writers.writes} writes`);
  return result;
}

/** Writers that run until they are stopped, or until the shard has moved away. */
export class ZooWriters {
  readonly failures: string[] = [];
  writes = 0;
  #running = true;
  #next = 0;
  readonly #work: Promise<unknown>;

  constructor(dsn: string, schema: string, writers = 2) {
    this.#work = Promise.all(Array.from({ length: writers }, () => this.#write(dsn, schema)));
  }

  /** Stops the writers if they have not ended on their own, and waits for them. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#work;
  }

  async #write(dsn: string, schema: string): Promise<void> {
    const client = new Client({ connectionString: dsn });
    await client.connect();
    await client.query(
      `SET search_path = ${ident(schema)}, public; SET statement_timeout = 0; SET lock_timeout = 0; SET default_transaction_isolation = 'read committed'`,
    );
    while (this.#running) {
      const n = ++this.#next;
      const statement = STATEMENTS[n % STATEMENTS.length]!;
      const sql = statement
        .replaceAll(":n", String(n))
        .replaceAll(":r", String(1 + Math.floor(Math.random() * 20)));
      try {
        await client.query(sql);
        this.writes++;
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (hasSqlstate(error, ...GONE)) break;
        if (this.failures.length < 10) this.failures.push(`${code}: ${message} in ${sql}`);
        await client.query("ROLLBACK");
      }
      await sleep(4);
    }
    await client.end();
  }
}
