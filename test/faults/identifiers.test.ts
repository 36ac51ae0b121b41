import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client } from "pg";

import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { expectNoLeftovers, type TestDatabase, waitFor } from "../support/index.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";

const SEQUENCES = {
  plain: "",
  cached: "CACHE 50",
  down: "INCREMENT -3",
  small: "AS integer INCREMENT 7 START 5",
};
/** Moves back and forth: each switch is a chance for a value to be handed out twice. */
const MOVES = 6;

/** Calls nextval() as fast as it can wherever the shard is, and records the values. */
class Caller {
  readonly values: string[] = [];
  readonly failures: string[] = [];
  #running = true;
  readonly #done: Promise<void>;

  constructor(databases: readonly TestDatabase[], sequence: string, batch: number) {
    this.#done = this.#call(
      databases,
      `SELECT nextval('sh0042.${sequence}') AS value FROM generate_series(1, ${batch})`,
    );
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #call(databases: readonly TestDatabase[], sql: string): Promise<void> {
    const clients = databases.map(({ dsn }) => new Client({ connectionString: dsn }));
    await Promise.all(clients.map((client) => client.connect()));
    for (let at = 0; this.#running;) {
      try {
        const { rows } = await clients[at]!.query<{ value: string }>(sql);
        this.values.push(...rows.map(({ value }) => value));
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        const gone = hasSqlstate(error, SQLSTATE.undefinedTable, SQLSTATE.invalidSchemaName);
        if (!gone) this.failures.push(`${code} ${message}`);
        at = await active(clients);
      }
    }
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Waits until one of the islands has the shard. */
async function active(clients: readonly Client[]): Promise<number> {
  for (;;) {
    for (const [at, client] of clients.entries()) {
      const { rowCount } = await client.query(
        "SELECT FROM microsharding.microsharding_active_ WHERE schema_name = 'sh0042'",
      );
      if (rowCount) return at;
    }
  }
}

describe("sequences in a switch", { timeout: 300_000 }, () => {
  it("hand out no value twice to clients that call nextval() at a high rate, and fail none of them", async () => {
    const world = await createWorld();
    const { a, b } = world;
    const sequences = Object.entries(SEQUENCES);
    await createShard(
      a,
      42,
      sequences.map(([name, options]) => `CREATE SEQUENCE sh0042.${name} ${options}`).join(";"),
    );
    const callers = sequences.map(([name]) => [1, 1, 20].map((batch) => new Caller([a, b], name, batch)));
    await world.startWorker();
    const [nameA, nameB] = [parseDsn(a.dsn).name, parseDsn(b.dsn).name];
    for (let i = 0; i < MOVES; i++) {
      const [from, to] = i % 2 === 0 ? [nameA, nameB] : [nameB, nameA];
      const { leftover } = await resultOf(await world.startMove({ from, to }));
      await (i % 2 === 0 ? a : b).rows(`DROP SCHEMA ${leftover} CASCADE`);
    }
    for (const [i, [name]] of sequences.entries()) {
      await Promise.all(callers[i]!.map((caller) => caller.stop()));
      const values = callers[i]!.flatMap((caller) => caller.values);
      const failures = callers[i]!.flatMap((caller) => caller.failures);
      assert.equal(new Set(values).size, values.length, `${name} handed out a value twice`);
      assert.ok(values.length > 100);
      assert.deepEqual(failures, [], name);
    }
    await expectNoLeftovers(a, b);
  });

  it("also hand out values to clients that come after they have been handed over", async () => {
    const world = await createWorld();
    const { a, b } = world;
    // Called before or never, upwards and downwards; what a late client gets, and what nobody else may get.
    const cases = [
      { name: "called", sql: "CREATE SEQUENCE sh0042.called; SELECT nextval('sh0042.called')", value: 2 },
      { name: "fresh", sql: "CREATE SEQUENCE sh0042.fresh", value: 1 },
      { name: "down", sql: "CREATE SEQUENCE sh0042.down INCREMENT -1", value: -1 },
      { name: "put", sql: "CREATE SEQUENCE sh0042.put; SELECT setval('sh0042.put', 8, false)", value: 8 },
    ];
    await createShard(a, 42, cases.map(({ sql }) => sql).join(";"));
    const worker = await world.startWorker({ fault: "after leave source", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("after leave source");
    const next = async ({ rows }: TestDatabase, name: string): Promise<number> =>
      Number((await rows<{ value: string }>(`SELECT nextval('sh0042.${name}') AS value`))[0]!.value);
    const late = cases.map(({ name }) => next(a, name));
    const waits =
      "SELECT FROM pg_locks JOIN pg_class c ON c.oid = relation WHERE NOT granted AND relkind = 'S' AND relnamespace = 'sh0042'::regnamespace";
    await waitFor(async () => (await a.rows(waits)).length === cases.length, { what: "the calls to wait" });
    worker.goOn();
    assert.deepEqual(
      await Promise.all(late),
      cases.map(({ value }) => value),
    );
    await resultOf(handle);
    for (const { name, value } of cases) {
      const later = await next(b, name);
      assert.ok(name === "down" ? later < value : later > value, `${name}: ${later}`);
    }
  });

  it("arrive exactly as they were if nobody uses them, including those that were never used", async () => {
    const world = await createWorld();
    const sql = Object.entries(SEQUENCES).flatMap(([name, options]) => [
      `CREATE SEQUENCE sh0042.${name} ${options}`,
      `CREATE SEQUENCE sh0042.${name}_unused ${options}`,
      `SELECT nextval('sh0042.${name}') FROM generate_series(1, 3)`,
    ]);
    sql.push("CREATE SEQUENCE sh0042.lowest AS smallint MINVALUE -32768 START -32768 CYCLE");
    sql.push("CREATE TABLE sh0042.t (id int GENERATED ALWAYS AS IDENTITY, s serial)");
    await createShard(world.a, 42, sql.join(";"));
    const before = await statesOf(world.a);
    await world.startWorker();
    await resultOf(await world.startMove());
    assert.deepEqual(await statesOf(world.b), before);
  });
});

/** Definition and value of every sequence of the shard. */
async function statesOf(database: TestDatabase): Promise<Record<string, unknown>[]> {
  const names = await database.rows<{ name: string }>(
    `SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'sh0042' ORDER BY 1`,
  );
  const states: Record<string, unknown>[] = [];
  for (const { name } of names) {
    states.push(
      ...(await database.rows(
        `SELECT v.last_value, v.is_called, s.sequencename, s.start_value, s.min_value, s.max_value, s.increment_by, s.cycle, s.cache_size
         FROM sh0042.${name} v, pg_sequences s WHERE s.schemaname = 'sh0042' AND s.sequencename = '${name}'`,
      )),
    );
  }
  return states;
}
