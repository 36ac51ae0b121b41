import assert from "node:assert/strict";
import { it } from "node:test";

import { cleanup, findLeftovers } from "../../src/operations/cleanup.ts";
import { doctor, doctorMove } from "../../src/operations/doctor.ts";
import { drift } from "../../src/operations/drift.ts";
import { list } from "../../src/operations/list.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { settingsOf } from "../cleanup/islands.ts";
import { inspected } from "../preflight/inspected.ts";
import { expectNoLeftovers, type TestDatabase } from "../support/index.ts";
import { activePlaces, createShard, createWorld, resultOf } from "../support/world.ts";

const TABLES = 20_000;
/** One for each table and its sequence, and some others. */
const LOCKS = 2 * TABLES + 49;

/** Tables with two indexes, a sequence, a foreign key and a row each. */
async function fill(database: TestDatabase): Promise<void> {
  await createShard(database, 42, "CREATE TABLE sh0042.t0 (id bigint PRIMARY KEY)");
  for (let from = 1; from < TABLES; from += 100)
    await database.rows(
      `DO $$ BEGIN FOR i IN ${from}..${Math.min(TABLES - 1, from + 99)} LOOP
         EXECUTE format('CREATE TABLE sh0042.t%1$s (id bigserial PRIMARY KEY, name text UNIQUE, up bigint REFERENCES sh0042.t%2$s)', i, i - 1);
         EXECUTE format('INSERT INTO sh0042.t%1$s (name) VALUES (''a'')', i);
       END LOOP; END $$`,
    );
}

/** Gives a server the room that preflight has asked for. */
async function makeRoom(server: PostgresServer, locks: string): Promise<void> {
  server.settings = { ...server.settings, max_locks_per_transaction: locks };
  await server.restart();
}

async function timed<T>(what: string, run: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await run();
  console.log(`${what}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  return result;
}

it(
  "a shard of 20,000 tables moves, each step in one attempt, and all actions work with it",
  { timeout: 3_600_000 },
  async () => {
    const [source, destination] = await Promise.all(
      ["many-a", "many-b"].map((name) => startPostgres({ version: 17, name })),
    );
    const world = await createWorld({ servers: { a: source!, b: destination! } });
    const { a, b } = world;
    await timed("tables", () => fill(a));

    const { problems } = await timed("preflight without room", () => inspected(a, b));
    assert.equal(problems.length, 2, problems.join("\n"));
    for (const [i, server] of [source!, destination!].entries()) {
      const reason = new RegExp(
        `at once \\(${LOCKS.toLocaleString("en")}\\): raise max_locks_per_transaction there to (\\d+) or more`,
      );
      const [, locks] = reason.exec(problems[i]!) ?? [];
      assert.ok(locks !== undefined, problems[i]);
      await makeRoom(server, locks);
    }

    await world.startWorker();
    const handle = await world.startMove({ maxWriteBlockMs: 60_000, maxWriteBlockBudgetSec: 600 });
    const { rows, writeBlocked } = await timed("move", () => resultOf(handle));
    console.log(`writers were blocked for ${writeBlocked.totalMs} ms by ${writeBlocked.attempts} attempts`);
    assert.equal(rows, TABLES - 1);
    assert.deepEqual(await activePlaces("sh0042", a, b), [b.name]);
    const { events } = await handle.fetchHistory();
    const attempts = (events ?? []).map((event) => event.activityTaskStartedEventAttributes?.attempt ?? 1);
    assert.ok(
      attempts.every((attempt) => attempt === 1),
      `attempts ${attempts.join(" ")}`,
    );

    const settings = await settingsOf([a, b]);
    const { findings } = await timed("doctor", () => doctor(settings));
    assert.ok(
      findings.every(({ severity }) => severity === "warning"),
      JSON.stringify(findings).slice(0, 2000),
    );
    const back = await timed("doctor --shard", () =>
      doctorMove(settings, { shard: 42, to: parseDsn(a.dsn).name }),
    );
    assert.ok(
      back.findings.every(({ severity }) => severity === "warning"),
      JSON.stringify(back.findings).slice(0, 2000),
    );
    const { islands } = await timed("list", () => list(settings, { statistics: true }));
    assert.deepEqual(
      islands.flatMap(({ shards }) => shards.map(({ tables }) => tables)),
      [TABLES],
    );
    const { groups } = await timed("drift", () => drift(settings));
    assert.equal(groups.length, 1);
    const leftovers = await timed("leftovers", () => findLeftovers(settings, null));
    const { dropped, failed } = await timed("cleanup", () => cleanup(settings, null, leftovers));
    assert.deepEqual([dropped.length, failed], [1, []]);
    await expectNoLeftovers(a, b);
  },
);
