import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type pg from "pg";

import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { Sessions } from "./sessions.ts";

/** For how long a client trusts what it knows of the shard's place: that of Ent Framework. */
const TRUSTED_MS = 10_000;

/** Milliseconds between two reads: of busy clients, and of one that sleeps through most switches. */
const PAUSES_MS = [20, 25, 3000];

interface Place {
  pool: pg.Pool;
  /** When it was looked for. */
  at: number;
}

const running = new Set<CachingClients>();
after(() => {
  for (const clients of running) clients.halt();
});

/**
 * Clients like Ent Framework: each remembers for 10 s where the shard is; at SQLSTATE 42P01 it looks again at once, and
 * retries. One counts, the others read what it has counted, and record each value that is older than one they have read.
 */
export class CachingClients {
  readonly failures: string[] = [];
  /** Reads of a value that was older than one that the same client had read. */
  readonly older: string[] = [];
  reads = 0;
  /** How often the shard was elsewhere. */
  rediscoveries = 0;
  readonly #table: string;
  readonly #islands: readonly string[];
  readonly #schema: string;
  readonly #sessions = new Sessions("caching clients", PAUSES_MS.length + 1);
  #running = true;
  #work: Promise<unknown> = Promise.resolve();

  constructor(islands: readonly string[], schema: string) {
    this.#islands = islands;
    this.#schema = schema;
    this.#table = qualified(schema, "counters");
  }

  /** The table that they need. */
  static readonly tableSql = (schema: string): string =>
    `CREATE TABLE ${qualified(schema, "counters")} (key int PRIMARY KEY, value bigint NOT NULL);
     INSERT INTO ${qualified(schema, "counters")} VALUES (1, 0)`;

  start(): void {
    running.add(this);
    const count = `UPDATE ${this.#table} SET value = value + 1 WHERE key = 1`;
    this.#work = Promise.all([
      this.#client(10, (pool) => pool.query(count)),
      ...PAUSES_MS.map((pause) => this.#reader(pause)),
    ]);
    this.#work.catch(() => undefined);
  }

  halt(): void {
    running.delete(this);
    this.#running = false;
  }

  async stop(): Promise<void> {
    this.halt();
    await this.#work;
    await this.#sessions.close();
  }

  #reader(pauseMs: number): Promise<void> {
    let newest = 0;
    return this.#client(pauseMs, async (pool) => {
      // With a plan that is kept, which must not outlast the shard's name.
      const { rows } = await pool.query<{ value: string }>({
        name: "read",
        text: `SELECT value FROM ${this.#table} WHERE key = 1`,
      });
      const value = Number(rows[0]?.value ?? -1);
      if (value < newest) this.older.push(`${value} after ${newest}`);
      newest = Math.max(newest, value);
      this.reads++;
    });
  }

  async #client(pauseMs: number, operation: (pool: pg.Pool) => Promise<unknown>): Promise<void> {
    let place: Place | null = null;
    while (this.#running) {
      if (place && Date.now() - place.at > TRUSTED_MS) place = null;
      place ??= await this.#look();
      try {
        await operation(place.pool);
        await sleep(pauseMs);
      } catch (error) {
        place = null;
        if (hasSqlstate(error, SQLSTATE.undefinedTable)) this.rediscoveries++;
        else this.failures.push(String(error));
      }
    }
  }

  /** Asks the islands until one of them has the shard. */
  async #look(): Promise<Place> {
    for (;;) {
      for (const dsn of this.#islands) {
        const [pool, at] = [this.#sessions.to(dsn), Date.now()];
        const { rows } = await pool.query<{ active: boolean }>(
          `SELECT EXISTS (
             SELECT FROM unnest(microsharding.microsharding_list_active_shards()) s JOIN pg_namespace n ON n.oid = s
             WHERE n.nspname = $1) AS active`,
          [this.#schema],
        );
        if (rows[0]!.active) return { pool, at };
      }
      await sleep(2);
    }
  }
}
