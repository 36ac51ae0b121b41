import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type pg from "pg";

import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { ident, qualified } from "../../src/postgres/quote.ts";
import { type Balance, Books, type Entry } from "../../src/sandbox/books.ts";
import { Sessions } from "./sessions.ts";

/** Sixty ledgers must not take all processor time to look for shards whose island is down. */
const LONGEST_PAUSE_MS = 32;

export interface LedgerOptions {
  islands: readonly string[];
  shard: number;
  schema: string;
  /** Number of concurrent writers, 4 by default. */
  writers?: number;
  /** Writes per second of all writers together, 200 by default. */
  rate?: number;
  /** Schema of the SQL API. */
  apiSchema?: string;
  table?: string;
  /** Sessions shared with other ledgers; by default, it has its own. */
  sessions?: Sessions | null;
}

export interface LedgerResult extends Balance {
  /** Longest time without any acknowledged write, in milliseconds. */
  longestGapMs: number;
  /** How often the shard was looked up again. */
  rediscoveries: number;
}

const running = new Set<Ledger>();
// A failed test has not stopped its writers, which would keep the process of the test file running.
after(() => {
  for (const ledger of running) ledger.halt();
});

/**
 * Writers that find the shard as an application does, insert and update rows at a steady rate, and record acknowledged
 * writes. Unlike the application of the demo, they tolerate servers that go down.
 */
export class Ledger {
  readonly #options: Required<LedgerOptions>;
  readonly #sessions: Sessions;
  readonly #books = new Books();
  #rediscoveries = 0;
  #running = true;
  #work: Promise<unknown> = Promise.resolve();
  #next = 0;
  /** The numbers of the acknowledged inserts. */
  readonly #finished = new Set<number>();

  constructor(options: LedgerOptions) {
    this.#options = {
      writers: 4,
      rate: 200,
      apiSchema: "microsharding",
      table: "ledger",
      sessions: null,
      ...options,
    };
    const { sessions, writers } = this.#options;
    this.#sessions = sessions ?? new Sessions("ledger", writers);
  }

  /** The table that the writers need, in any schema. */
  static readonly tableSql = (schema: string, table = "ledger"): string =>
    `CREATE TABLE ${qualified(schema, table)} (
       id bigserial PRIMARY KEY, op text NOT NULL UNIQUE, touched int NOT NULL DEFAULT 0, at timestamptz NOT NULL DEFAULT now()
     )`;

  get acknowledged(): number {
    return this.#books.acknowledged;
  }

  /** Returns the longest time in ms without an acknowledged write since the last call, including the current one. */
  takeLongestGap(): number {
    return this.#books.takeLongestGapMs();
  }

  /** Resolves when a write that starts after this call is acknowledged; returns the milliseconds until then. */
  async nextWrite(): Promise<number> {
    const begin = Date.now();
    const known = this.#next;
    const written = (async () => {
      while (!this.#finished.has(known) && this.#running) await sleep(2);
    })();
    // After the failure of a writer, we would wait in vain.
    await Promise.race([written, this.#work]);
    return Date.now() - begin;
  }

  /** Starts writing; resolves when the first write has been acknowledged. */
  async start(): Promise<void> {
    const { writers } = this.#options;
    running.add(this);
    this.#work = Promise.all(Array.from({ length: writers }, (_, i) => this.#write(i)));
    this.#work.catch(() => undefined);
    const { failures } = this.#books;
    while (this.acknowledged === 0 && failures.length === 0 && this.#running) await sleep(5);
    this.#books.restartClock();
  }

  /** Lets the writers finish their current operations. */
  halt(): void {
    running.delete(this);
    this.#running = false;
  }

  /** Stops the writers, and compares the acknowledged writes with the rows. */
  async stop(): Promise<LedgerResult> {
    this.halt();
    await this.#work;
    const balance = this.#books.balance(await this.#entries());
    if (!this.#options.sessions) await this.#sessions.close();
    return { ...balance, longestGapMs: this.#books.longestGapMs, rediscoveries: this.#rediscoveries };
  }

  async #entries(): Promise<Entry[]> {
    const place = await this.#discover();
    const { rows } = await place.query<Entry>(
      `SELECT op AS reference, max(touched) AS updates, count(*)::int AS rows FROM ${this.#table()} GROUP BY op`,
    );
    return rows;
  }

  #table(): string {
    return qualified(this.#options.schema, this.#options.table);
  }

  async #write(writer: number): Promise<void> {
    const { writers, rate } = this.#options;
    let place: pg.Pool | undefined;
    const period = (1000 * writers) / rate;
    let last: string | undefined;
    for (let next = Date.now() + (period * writer) / writers; this.#running; next += period) {
      await sleep(Math.max(0, next - Date.now()));
      next = Math.max(next, Date.now() - 5 * period);
      const no = this.#next++;
      const op = `${writer}-${no}`;
      place = await this.#until(place, (at) => this.#insert(at, op));
      this.#books.acknowledge(op, 0);
      this.#finished.add(no);
      if (last && this.#running) {
        const target = last;
        place = await this.#until(place, (at) => this.#touch(at, target));
        this.#books.acknowledge(target, 1);
      }
      last = op;
    }
  }

  async #insert(place: pg.Pool, op: string): Promise<void> {
    // A retry after a lost response must not write twice: that is the application's responsibility.
    await place.query(`INSERT INTO ${this.#table()} (op) VALUES ($1) ON CONFLICT (op) DO NOTHING`, [op]);
  }

  async #touch(place: pg.Pool, op: string): Promise<void> {
    const { rowCount } = await place.query(`UPDATE ${this.#table()} SET touched = 1 WHERE op = $1`, [op]);
    if (rowCount !== 1) this.#books.failures.push(`acknowledged write ${op} cannot be found`);
  }

  /** Runs one operation, and looks up the shard again while it is not at the expected place. */
  async #until(place: pg.Pool | undefined, operation: (place: pg.Pool) => Promise<void>): Promise<pg.Pool> {
    for (;;) {
      place ??= await this.#discover();
      try {
        await operation(place);
        return place;
      } catch (error) {
        place = undefined;
        const { code, message } = error as { code?: string; message: string };
        // After this one, Ent Framework looks up the shard again, and retries.
        if (code === SQLSTATE.undefinedTable) this.#rediscoveries++;
        else if (!isConnectionError(error)) {
          this.#books.failures.push(`${code ?? ""} ${message}`);
          await sleep(50);
        }
      }
    }
  }

  /** Asks every island which shards are active there, until one of them has ours. */
  async #discover(): Promise<pg.Pool> {
    const { islands, apiSchema, schema } = this.#options;
    for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      for (const dsn of islands) {
        const place = this.#sessions.to(dsn);
        try {
          const { rows } = await place.query<{ active: boolean }>(
            `SELECT $1 = ANY (SELECT nspname FROM unnest(${ident(apiSchema)}.microsharding_list_active_shards()) s
               JOIN pg_namespace n ON n.oid = s) AS active`,
            [schema],
          );
          if (rows[0]!.active) return place;
        } catch (error) {
          if (!isConnectionError(error) && !hasSqlstate(error, SQLSTATE.invalidSchemaName)) throw error;
        }
      }
      await sleep(pause);
    }
  }
}

/** True if the server is going down or coming back, so that the operation itself has not failed. */
function isConnectionError(error: unknown): boolean {
  const { code = "", message } = error as { code?: string; message: string };
  return /^(08|57P0|ECONN|EPIPE)/.test(code) || /terminated|not queryable|closed/i.test(message);
}
